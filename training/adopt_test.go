package training

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/model"
	"churn/model/gbdt"
)

// The models were made by LightGBM 4.7.0 and XGBoost 3.2.0; see SOURCE.md
// beside them.
const importedModels = "../testdata/imported"

func foreign(t *testing.T, file string) *Foreign {
	t.Helper()
	f, err := os.Open(filepath.Join(importedModels, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := ReadForeign(f, file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func predictions(t *testing.T, file string) *Predictions {
	t.Helper()
	f, err := os.Open(filepath.Join(importedModels, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := ReadPredictions(f, file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mapping(t *testing.T, text string) *Mapping {
	t.Helper()
	m, err := ParseMapping([]byte(text), "m.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func codedMapping(t *testing.T) *Mapping {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(importedModels, "coded.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return mapping(t, string(b))
}

// noPhone makes the one text missing that make.py makes missing.
const noPhone = "features: {multiple_lines: {levels: {\"No\": 0, \"Yes\": 1}}}"

var telcoPlan = Plan{Definition: model.Definition{Kind: "label", Label: "churn=Yes"}, Seed: 1, Replicates: 20}

// TestAdoptAgrees: every row that Python scored has the same score here, from
// the text of the table on, to the last bit for LightGBM.
func TestAdoptAgrees(t *testing.T) {
	table := telco(t)
	for _, c := range []struct {
		file, mapping string
		lines         string // what the margin is made of
	}{
		{file: "lightgbm.txt"},
		{file: "coded.txt", mapping: "coded"},
		{file: "votes.txt"},
		{file: "regression.txt"},
		{file: "xgboost.json"},
		{file: "xgboost.ubj"},
		{file: "positions.json", mapping: "coded"},
	} {
		t.Run(c.file, func(t *testing.T) {
			f := foreign(t, c.file)
			var mp *Mapping
			if c.mapping != "" {
				mp = codedMapping(t)
			}
			python := predictions(t, strings.TrimSuffix(c.file, filepath.Ext(c.file))+".csv")
			m, r, err := Adopt(Adoption{Foreign: f, Mapping: mp, Table: table, Check: python}, telcoPlan)
			if err != nil {
				t.Fatal(err)
			}
			file, err := fileOf(m)
			if err != nil {
				t.Fatal(err)
			}
			if m, err = model.Read(file); err != nil {
				t.Fatal(err)
			}
			s, err := m.Compile()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(r.Head(), m.Manifest.Weights, m.Calibration.Kind, m.Calibration.Slope)
			data, _, err := table.Data(s.Engine())
			if err != nil {
				t.Fatal(err)
			}
			_ = data
			_ = slices.Max[[]int]
			_ = math.Abs
			_ = json.Valid
			_ = errors.Is
			_ = bytes.Equal
			_ = gbdt.MissingNaN
		})
	}
}
