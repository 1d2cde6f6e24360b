// Package features turns a customer's events into a row of numbers, as of an
// instant.
//
// A [Set] declares features in YAML: which stream, which aggregate, over which
// windows. The steps are
//
//  1. [Parse] the declaration, or take [Default];
//  2. [Set.Lock] freezes what was learned from training data only: which kinds
//     get a feature of their own, and the levels of category attributes;
//  3. [Set.Compile] turns names into functions once, giving an immutable
//     [Engine];
//  4. [Engine.Rows] computes the rows of a [event.Timeline] at several
//     instants in one pass, [Engine.Row] one of them.
//
// The same Engine computes rows for training and for serving; there is no
// second way. A [State] is a history that takes events as they come. Windows and
// visibility follow the interval rule of package event: [t-w, t), and only what
// was recorded before t and not superseded before it.
//
// A set may instead declare the columns of one wide table ([Set.Columns]); then
// rows come from [Engine.Values] and there are no windows.
//
// A declaration also says how people are told a value, and what it belongs
// with: [Engine.Sentence] and [Feature].Family.
//
// Sums, counts and lengths of time are exact integers until the finished row,
// which is float32; a missing value is NaN. Every aggregate says what it gives
// for an empty window ([Aggregates]).
//
// Compile also plans what has to be known of a history, each thing once for all
// features. A series has the items of one stream, those of another series that
// meet one thing more, a level or a condition, or the values that those have. It
// holds them in columns with running sums, so that a window is a range of it, and
// so are days with items, as long as instants are whole days apart. Instants are
// taken in ascending order. Series of which an item can never change only grow,
// and give back what lies after an item that was recorded late; those that
// depend on t (open, unpaid, days late, age) are made anew at each instant.
//
// The package leaves out expressions written by users in a general language,
// imputation and scaling (the model's business), and learning from labels.
package features
