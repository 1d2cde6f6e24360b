// Package kernel holds the inner loops of the boosting trainer and of compiled
// forests, each written twice: as plain Go (the functions ending in Go), which
// says what is computed, and in assembly for amd64, which computes the same
// bits.
//
//  1. [Gradients] turns scores into first and second derivatives;
//  2. [Quantise] rounds them at random and packs both into one word;
//  3. [Bins] turns values of a feature into bin numbers;
//  4. [Histogram] adds the words of rows to the bins of a tile of columns;
//  5. [Subtract] takes one histogram from another;
//  6. [BestGain] and [AddGains] try every split of a histogram;
//  7. [Partition] parts the rows of a leaf;
//  8. [Walk] takes a row through trees node by node;
//  9. [Cells] takes it through trees that are tables, and [Spread] adds up
//     rows of them;
//  10. [Path] integrates the Shapley values of a tree.
//
// A packed word holds a sum of gradients, signed, in its high half and one of
// Hessians, unsigned, in its low half. Sums of words are sums of both as long
// as neither overflows, which the scales of Quantise see to; they are exact
// and so independent of order, which is why threads cannot change a forest.
//
// Floating-point code is written so that no operations can be fused: every
// product that is added to something is converted explicitly, as the Go
// specification asks. Vector code uses the same operations in the same order.
//
// The trainer's kernels do not know what a feature, a tree or a leaf is. Those
// that score trust the numbers in the trees they are given: who lays a tree out
// sees to it that they lie within it.
package kernel
