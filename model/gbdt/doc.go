// Package gbdt trains, holds, reads and writes forests of binary decision
// trees for a yes-or-no question: gradient boosting, the LightGBM text format,
// XGBoost's JSON and UBJSON, prediction and exact Shapley values.
//
// [Train] makes a [Forest] from a [Dataset] and [Params]:
//
//  1. every feature is cut into at most 255 bins (binning.go); categories of
//     many levels are also turned into numbers (target.go); features of few
//     bins share a byte (table.go);
//  2. for each tree, derivatives of the loss are rounded to whole numbers and
//     packed in pairs (package kernel), a tree is grown leaf by leaf (grow.go)
//     or level by level (symmetric.go), each split being the best of all that
//     histograms of derivatives can tell apart (split.go);
//  3. leaf values are computed from derivatives that are not rounded, scores
//     move, and validation rows say when to stop (train.go).
//
// A Forest may also come from [ReadText] or [ReadXGBoost], or be filled in
// field by field by whoever fitted the trees; then
//
//  1. [Forest.Validate] says whether the arrays describe trees at all;
//  2. [Forest.Predict] gives the raw score of a row;
//  3. [Forest.Contributions] splits that score into one term per feature;
//  4. [Forest.WriteText] writes a file that LightGBM 4 loads, and for which
//     it computes the same raw scores to the last bit;
//  5. [Forest.Compile] makes a scorer of it, many times faster.
//
// Prediction and Shapley values of a Forest are written to be obviously right,
// not fast: they are the oracle for those of a [Compiled] one.
//
// The package knows nothing of customers or churn and imports the standard
// library only, its kernels beside that what tells them the machine's
// instructions. It leaves out losses other than the log loss, linear trees,
// several outputs per row, ranking, training on several machines or on a GPU,
// and the link function: the score of a binary forest is in log-odds, and
// turning it into a probability is the caller's business.
//
// Rejected, as measured by prototypes: gradient-based one-side sampling and
// gradients of a few levels (both cost accuracy), columns stored one after the
// other instead of row by row (slower on leaves of few rows), vector scatter
// and gather for histograms (no faster than scalar additions).
package gbdt
