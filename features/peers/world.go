//go:build unix

package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"

	"churn/event"
	"churn/event/sim"
)

// world simulates customers who do twice as much as those of the default
// world, about 400 events each, and writes their five tables.
func world(args []string) error {
	flags := flag.NewFlagSet("world", flag.ExitOnError)
	out := flags.String("out", "", "directory to write")
	customers := flags.Int("customers", 50_000, "how many")
	if err := parse(flags, args, "out"); err != nil {
		return err
	}
	w := busyWorld(*customers)
	if _, err := w.WriteDir(context.Background(), *out, false, func(int, int) {}); err != nil {
		return err
	}
	for _, name := range []string{"oracle.csv", "truth.json"} { // nobody asks here
		if err := os.Remove(filepath.Join(*out, name)); err != nil {
			return err
		}
	}
	return nil
}

func busyWorld(customers int) sim.World {
	w := sim.DefaultWorld()
	w.Customers = customers
	for i := range w.Rates {
		w.Rates[i].PerDay *= 2
	}
	w.Lags = sim.Lags{} // all is recorded at once: the SQL has no second clock
	w.Snapshots = []event.Time{w.End}
	return w
}
