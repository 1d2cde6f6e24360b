// Package measure says how good scores are, given what happened.
//
// A [Sample] is scored rows with their outcomes (true: churned) and weights,
// sorted once; on it are measured [Metrics], [Curves], and, with the [Stakes] of
// a contact, profit. [Bootstrap] puts intervals on all of them, and on the
// difference of two, by drawing whole customers. What rows do not allow to
// measure is NaN, and null in JSON ([Float]), never a number.
//
// It leaves out where scores come from, which rows are fair to test on, what a
// customer is worth, and how a result looks: package training and package figure.
package measure
