//go:build unix

// Command peers is the feature engine as a program, for the Python scripts
// beside it that hold it against DuckDB and polars.
//
//	peers world -out DIR [-customers N]
//	peers engine -dir DIR -set FILE -instants T,T [-workers N]
//	peers read -dir DIR
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want a command: world, engine or read")
	}
	switch args[0] {
	case "world":
		return world(args[1:])
	case "engine":
		return engine(args[1:], os.Stdin, os.Stdout)
	case "read":
		return read(args[1:], os.Stdout)
	}
	return fmt.Errorf("unknown command %q, want world, engine or read", args[0])
}

// parse reads the flags and returns an error if one of required is missing.
func parse(flags *flag.FlagSet, args []string, required ...string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q", flags.Name(), flags.Arg(0))
	}
	for _, name := range required {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%s: -%s is missing", flags.Name(), name)
		}
	}
	return nil
}
