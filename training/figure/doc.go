// Package figure draws what package measure measured, for the report.
//
// A figure is SVG to be put into an HTML page as it is: no scripts, fonts or
// links, as wide as its place up to 40 rem. Same numbers, same bytes. It leaves
// out the page, and what is worth drawing: package training.
package figure
