// Package training builds an honest churn model from histories.
//
// The steps of [Train] are
//
//  1. observe: at several snapshots per customer, decide by the definition of
//     churn who was a customer, who then left, and who cannot be told yet
//     (censored, dropped and counted) — [Observer];
//  2. split: by time, with the gap between the parts purged, and by customer,
//     so that the test never sees a customer or a day that training saw —
//     [SplitByTime];
//  3. freeze the feature set on the training part and compute the rows;
//  4. look for leaks — [Leak];
//  5. fit the rungs of the ladder (rules, logistic regression, forest, boosting)
//     without each fold of the customers, let settings compete, blend, calibrate
//     each on customers it never saw and choose by log loss there;
//  6. evaluate on still later data, with intervals, against the rule: ranks,
//     probabilities, money, capacity, notice and segments; and check what was
//     trained by controls — [Checks];
//  7. write the report and pass judgement — the gate; and stand beside the
//     champion, if there is one — [Comparison].
//
// A wide table without times goes the same way with a split by customer only
// ([TrainTable]). A model that was trained elsewhere is calibrated, tested and
// judged in the same way ([Adopt]).
//
// Windows and labels follow the interval rule of package event. The package
// leaves out where histories come from (a [Source] gives them), where models
// are kept, and the clock.
package training
