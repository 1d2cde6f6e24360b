// Package baseline fits the models a better one has to beat: a logistic
// regression and a random forest, both by golearn
// (github.com/sjwhitworth/golearn). It is the only package that knows golearn.
//
// A [Matrix] of finite numbers and a label per row go in; [FitLogistic] and
// [FitForest] give a [Linear] and a [Forest], plain structures that need
// golearn no longer: scoring and storing them is ordinary Go. Filling in
// missing values, coding categories and bringing columns to one scale are the
// caller's business, as is calibration.
//
// golearn was last changed in 2022. What this package does about its faults:
//
//   - Its logistic regression has no intercept and hides its weights: see
//     [FitLogistic].
//   - It hands Go memory with Go pointers in it to C, which the runtime stops
//     unless that memory is pinned; it is pinned here.
//   - It prints the solver's progress on standard output; it is silenced here,
//     for the whole process.
//   - Its random forest draws from the global random source, visits rows in
//     map order, drops an attribute once it was split on, and its information
//     gain passes over thresholds behind repeated values: see [FitForest].
//   - It panics where it could return an error; the forest returns errors.
//
// golearn needs cgo, hence a C and C++ compiler at build time.
package baseline
