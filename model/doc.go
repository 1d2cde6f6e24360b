// Package model is a fitted churn model: its file, and the scorer made of it.
//
// A [Model] holds everything that scoring needs: the locked feature set, the
// fitted parts (an additive log-odds model, a forest, or a blend of both), the
// calibration from margin to probability, the reference population, and rows
// with known scores. The steps are
//
//  1. training fills a Model and [Write] makes a file of it;
//  2. [Read] checks a file, trusting nothing in it, and [Load] opens one;
//  3. [Model.Compile] resolves names to columns, runs the self-test and gives
//     an immutable [Scorer], safe for concurrent use.
//
// The margin is in log-odds. It is the base margin plus one contribution per
// feature, exactly; the calibration map takes it to the probability and is
// monotone, so that ranks keep.
//
// The package leaves out fitting (package training and the packages below it),
// files on disk by name and version (package registry), and events: a row of
// features comes in, a score goes out.
package model
