// Command churn trains churn models on histories of engagement, complaints and
// payments, serves their scores, and recommends outreach.
//
// A file per subcommand; this one only wires and exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones also where the machine has none

	"github.com/spf13/cobra"

	"churn/model/registry"
)

// Exit codes that scripts may rely on.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // by a gate, or data by the doctor
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the whole program: tests call it with their own streams.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "churn:", err)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "Run 'churn --help' for usage.")
		return exitUsage
	case errors.Is(err, registry.ErrGate), errors.Is(err, errUnfit):
		return exitRefused
	}
	return exitFailed
}

// app carries what all subcommands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	configPath string
	dbPath     string
	modelsDir  string
	model      string
	json       bool
	quiet      bool
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "churn",
		Short: "Predict who will leave, why, and what outreach is worth its cost",
		Long: `Churn turns engagement, complaints and payments into a calibrated probability
that each customer leaves, the reasons for it, and the outreach worth its cost.

Exit codes: 0 ok, 1 failed, 2 bad usage, 3 refused by a gate, or data
found unfit by the doctor.`,
		Example: `  churn simulate --out demo --customers 2000
  churn import --config demo/churn.yaml
  churn train --config demo/churn.yaml --promote
  churn serve --config demo/churn.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.PersistentFlags()
	f.StringVar(&a.configPath, "config", "", "project file (default churn.yaml if there is one)")
	f.StringVar(&a.dbPath, "db", "", "database file, instead of the project file's")
	f.StringVar(&a.modelsDir, "models", "", "directory of models, instead of the project file's")
	f.StringVar(&a.model, "model", "", "name of the model, instead of the project file's")
	f.BoolVar(&a.json, "json", false, "write the result as JSON to standard output")
	f.BoolVar(&a.quiet, "quiet", false, "no progress on standard error")
	root.AddCommand(a.simulateCommand(), a.initCommand(), a.importCommand(), a.doctorCommand(), a.featuresCommand(), a.trainCommand(),
		a.evaluateCommand(), a.scoreCommand(), a.serveCommand(), a.modelsCommand())
	usageArgs(root)
	return root
}

// usageArgs makes a wrong number of arguments bad usage, on a command and
// those below it. Cobra answers an unknown subcommand by Args too.
func usageArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageArgs(sub)
	}
}
