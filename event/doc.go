// Package event says what happened to a customer.
//
// Five streams are known: engagement (sign-ins, page views, orders, anything
// that shows interest), complaints, payments, contacts (outreach that was done)
// and attributes (what became of a customer's plan, region or price). A complaint has two phases, opened and resolved; a payment has two,
// due and paid, and may fail or be refunded on the way. Each phase is an
// [Event] of its own, because each became known at its own time.
//
// The steps from a source to a history are
//
//  1. [Open] a CSV or NDJSON file, plain or gzipped, or be given [Rows] of
//     another source by an [Input];
//  2. a [Reader] maps foreign columns ([Mapping]) and yields a [Record] a row,
//     or a [*RowError] that names file, line and column, after which reading
//     goes on;
//  3. [Import] carries records in batches to a [Sink], counts what was refused
//     and why, and keeps refused rows in a rejects file; or [Gather] does the
//     same and puts all rows in order by customer, in bounded memory;
//  4. [NewTimeline] pairs the phases of one customer's events again, in order.
//
// # The interval rule
//
// A window of length w at instant t holds the events with
//
//	t-w <= occurred at < t
//
// and a row at t uses an event only if it also was recorded before t
// ([Visible]). Days are 24-hour buckets counted back from t, not calendar
// days. Labels look at [t+gap, t+gap+horizon). Every package of this module
// follows this rule and links here.
//
// # What it leaves out
//
// The package reads no clock, opens no network connection and knows neither
// databases, Parquet nor features. It repairs nothing: a value it does not understand
// is an error of that row.
package event
