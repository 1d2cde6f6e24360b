// Package store keeps events, customers, scores, decisions and outcomes in a
// database. It is the only package that knows SQL.
//
// The steps are
//
//  1. [Open] a database file, which checks it, migrates it and starts the one
//     writer;
//  2. [DB.Append] and [DB.PutCustomers] keep what happened ([DB.Sink] is the
//     same for an import); [DB.SaveScores], [DB.SaveDecisions],
//     [DB.SaveOutcome] and [DB.SyncPromotions] keep what was made of it;
//  3. [DB.Timelines] reads all histories in order, [DB.Timeline] one, and
//     [DB.ForeignWrites] says whether one that was kept may have changed;
//  4. [DB.Close] commits what is under way and tidies the files.
//
// # What an acknowledgement means
//
// A writing method returns only after its transaction is committed, and with
// Synchronous "full" a commit is on the disk: what was acknowledged survives
// a killed process and a power cut. All writes go through one goroutine, which
// puts those that wait at the same moment into one transaction, because the
// flush to disk and not the statement is what a small write costs.
//
// Every write may be repeated: an event is identified by its id and type, and
// storing it again changes nothing. A caller that saw an error, or nothing,
// sends the same again.
//
// # Two clocks
//
// Each event keeps when it happened and when it was recorded. The store hands
// out both and filters by neither; see the interval rule in package event.
//
// # What it leaves out
//
// Events are never changed or aggregated here, and single events are never
// deleted: only [DB.DeleteCustomer] removes. Backups are the operator's, and
// erasing a customer does not reach into them. The store reads no clock;
// [Options.Now] is asked. A second process may use the same file, but a file
// on a network file system must not be shared.
package store
