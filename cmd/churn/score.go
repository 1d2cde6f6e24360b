package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"churn/event"
	"churn/model"
	"churn/model/registry"
	"churn/store"
)

type scoreFlags struct {
	version, asOf, out string
	ids                []string
	reasons            int
	save               bool
}

func (a *app) scoreCommand() *cobra.Command {
	var wide tableFlags
	var f scoreFlags
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Score customers of the database or rows of a wide table",
		Long: `Score writes one row a customer: probability of churn, percentile, risk band,
margin and the strongest reasons, as CSV or, with --json, one JSON object a
line. Without --customer every customer is scored who has not left.`,
		Example: `  churn score --config churn.yaml --out scores.csv
  churn score --config churn.yaml --customer 1029 --reasons 5 --json
  churn score --model-version champion --table new.csv --id customerID`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.score(cmd.Context(), wide, f) },
	}
	wide.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.version, "model-version", registry.Champion, "version or alias of the model")
	fl.StringVar(&f.asOf, "as-of", "", "instant to score at (default: the end of the data)")
	fl.StringVar(&f.out, "out", "-", "file to write, - for standard output")
	fl.StringSliceVar(&f.ids, "customer", nil, "customers to score (default: all)")
	fl.IntVar(&f.reasons, "reasons", 3, "reasons to give, 0 to 20")
	fl.BoolVar(&f.save, "save", false, "also keep the scores in the database")
	return cmd
}

// scored is one line of output.
type scored struct {
	Customer    string         `json:"customer_id"`
	Probability float64        `json:"churn_probability"`
	Percentile  float64        `json:"percentile"`
	Band        string         `json:"risk_band"`
	Margin      float64        `json:"margin"`
	AsOf        string         `json:"as_of,omitempty"`
	Version     string         `json:"model_version"`
	Reasons     []model.Reason `json:"reasons"`
}

func (a *app) score(ctx context.Context, wide tableFlags, f scoreFlags) (err error) {
	if f.reasons < 0 || f.reasons > 20 {
		return usagef("--reasons %d: between 0 and 20", f.reasons)
	}
	if err := wide.check(); err != nil {
		return err
	}
	if wide.path != "" && (f.asOf != "" || f.save || len(f.ids) > 0) {
		return usagef("--as-of, --customer and --save are of histories and not of a wide table")
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	s, err := a.scorer(c, f.version)
	if err != nil {
		return err
	}
	w := a.stdout
	if f.out != "-" {
		file, err := os.Create(f.out)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		w = file
	}
	out := newScoreWriter(w, a.json, f.reasons)
	if wide.path != "" {
		err = scoreTable(out, s, wide)
	} else {
		err = a.scoreHistories(ctx, out, c, s, f)
	}
	return errors.Join(err, out.flush())
}

func scoreTable(out *scoreWriter, s *model.Scorer, wide tableFlags) error {
	if !s.Engine().OfTable() {
		return usagef("the model is of histories: leave out --table, or name a model of a wide table")
	}
	t, err := wide.read()
	if err != nil {
		return err
	}
	data, _, err := t.Data(s.Engine())
	if err != nil {
		return err
	}
	for i := range data.Observations {
		if err := out.write(s, t.IDs[i], "", data.Matrix.Row(i)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) scoreHistories(ctx context.Context, out *scoreWriter, c *config, s *model.Scorer, f scoreFlags) (err error) {
	if s.Engine().OfTable() {
		return usagef("the model is of a wide table: give --table")
	}
	db, err := a.existingStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	t, err := c.through(ctx, db)
	if f.asOf != "" {
		if t, err = event.ParseTime(f.asOf); err != nil {
			return usagef("--as-of: %w", err)
		}
	}
	if err != nil {
		return err
	}
	p := a.progress()
	defer p.finish()
	n := 0
	var save []store.Score
	one := func(tl *event.Timeline) error {
		if err := out.write(s, tl.Customer.ID, t.String(), s.Row(tl, t)); err != nil {
			return err
		}
		if n++; n%500 == 0 {
			p.show("scoring", n, 0)
		}
		if f.save {
			save = append(save, store.Score{CustomerID: tl.Customer.ID, AsOf: t, Model: s.Manifest().Name,
				Version: s.Manifest().Version, Probability: out.last.Probability, Margin: out.last.Margin})
		}
		return nil
	}
	if len(f.ids) > 0 {
		for _, id := range f.ids {
			tl, err := db.Timeline(ctx, id)
			if err != nil {
				return fmt.Errorf("customer %s: %w", id, err)
			}
			if err := one(tl); err != nil {
				return err
			}
		}
	} else if err := db.Timelines(ctx, func(tl *event.Timeline) error {
		if tl.Customer.ChurnedAt < t {
			return nil
		}
		return one(tl)
	}); err != nil {
		return err
	}
	for len(save) > 0 {
		k := min(len(save), 2000)
		if _, err := db.SaveScores(ctx, save[:k]); err != nil {
			return err
		}
		save = save[k:]
	}
	return nil
}

// scoreWriter writes scores as CSV or NDJSON.
type scoreWriter struct {
	buf     *bufio.Writer
	csv     *csv.Writer
	json    *json.Encoder
	reasons int
	phi     []float64
	last    model.Score
}

func newScoreWriter(w io.Writer, asJSON bool, reasons int) *scoreWriter {
	out := &scoreWriter{buf: bufio.NewWriter(w), reasons: reasons}
	if asJSON {
		out.json = json.NewEncoder(out.buf)
		return out
	}
	out.csv = csv.NewWriter(out.buf)
	head := []string{"customer_id", "churn_probability", "percentile", "risk_band", "margin", "as_of", "model_version"}
	for i := range reasons {
		head = append(head, fmt.Sprintf("reason_%d", i+1))
	}
	out.csv.Write(head) // an error stays in the writer until flush
	return out
}

func (out *scoreWriter) write(s *model.Scorer, id, asOf string, row []float32) error {
	var phi []float64
	if out.reasons > 0 {
		if out.phi == nil {
			out.phi = make([]float64, len(row))
		}
		phi = out.phi
	}
	sc := s.Score(row, phi)
	out.last = sc
	reasons := []model.Reason{}
	if phi != nil {
		reasons = s.Reasons(row, phi, out.reasons)
	}
	r := scored{id, round(sc.Probability), sc.Percentile, sc.Band, sc.Margin, asOf, s.Manifest().Version, reasons}
	if out.json != nil {
		return out.json.Encode(r)
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	cells := []string{safeCell(id), number(r.Probability), number(r.Percentile), r.Band, number(r.Margin), asOf, r.Version}
	for i := range out.reasons {
		text := ""
		if i < len(reasons) {
			text = fmt.Sprintf("%s (%s)", reasons[i].Text, reasons[i].Direction)
		}
		cells = append(cells, safeCell(text))
	}
	return out.csv.Write(cells)
}

// round keeps what is meaningful of a probability.
func round(p float64) float64 { return math.Round(p*1e6) / 1e6 }

// safeCell keeps a spreadsheet from taking a text for a formula.
func safeCell(s string) string {
	if s != "" && (s[0] == '=' || s[0] == '+' || s[0] == '@' || s[0] == '\t' || s[0] == '-' && !isNumber(s)) {
		return "'" + s
	}
	return s
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func (out *scoreWriter) flush() error {
	if out.csv != nil {
		out.csv.Flush()
		if err := out.csv.Error(); err != nil {
			return err
		}
	}
	return out.buf.Flush()
}
