// Package gbdt holds forests of binary decision trees: their data structure,
// the LightGBM text format, prediction and exact Shapley values.
//
// A [Forest] comes from [ReadText] (a file, ours or one written by LightGBM)
// or is filled in field by field by whoever fitted the trees; then
//
//  1. [Forest.Validate] says whether the arrays describe trees at all;
//  2. [Forest.Predict] gives the raw score of a row;
//  3. [Forest.Contributions] splits that score into one term per feature;
//  4. [Forest.WriteText] writes a file that LightGBM 4 loads, and for which
//     it computes the same raw scores to the last bit.
//
// Prediction and Shapley values are written to be obviously right, not fast:
// they are the oracle for compiled scorers.
//
// The package knows nothing of customers or churn, imports only the standard
// library, and leaves out linear trees, several outputs per row and the link
// function: the score of a binary forest is in log-odds, and turning it into
// a probability is the caller's business.
package gbdt
