package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors is the order of the rooms: a package may import packages of lower
// floors only, never of its own or a higher one. It is a statement of policy;
// a change here is a change of the architecture (ARCHITECTURE.md).
var floors = map[string]int{
	"churn/event":                      1,
	"churn/model/gbdt/internal/kernel": 1,
	"churn/features":                   2,
	"churn/features/table":             3,
	"churn/event/sim":                  2,
	"churn/model/gbdt":                 2,
	"churn/model/baseline":             2,
	"churn/features/peers":             4,
	"churn/model/gbdt/peers":           3,
	"churn/model/gbdt/peers/leaves":    3, // a module of its own
	"churn/model":                      3,
	"churn/outreach":                   4,
	"churn/store":                      4,
	"churn/model/registry":             4,
	"churn/api":                        5,
	"churn/training/measure":           2,
	"churn/training/figure":            3,
	"churn/training":                   5,
	"churn/cmd/churn":                  6,
}

// doors says which package alone may import a library.
var doors = map[string]string{
	"gorm.io/":                       "churn/store",
	"github.com/mattn/go-sqlite3":    "churn/store",
	"github.com/jackc/pgx/":          "churn/store",
	"github.com/gin-gonic/gin":       "churn/api",
	"github.com/sjwhitworth/golearn": "churn/model/baseline",
	"github.com/dmitryikh/leaves":    "churn/model/gbdt/peers/leaves",
	"gonum.org/v1/plot":              "churn/training/figure",
	"github.com/expr-lang/expr":      "churn/outreach",
	"github.com/spf13/cobra":         "churn/cmd/churn",
	"github.com/prometheus/":         "churn/api",
	"net/http":                       "churn/api",
	"database/sql":                   "churn/store",
	"github.com/apache/arrow-go/":    "churn/features/table",
	"github.com/klauspost/compress":  "churn/features/table",
}

// standardOnly packages import nothing but the standard library and, if of a
// higher floor than 1, packages of this module.
var standardOnly = map[string]bool{"churn/event": true, "churn/event/sim": true, "churn/model/gbdt": true, "churn/training/measure": true}

// ownNothing packages import nothing of this module but what is internal to them.
var ownNothing = map[string]bool{"churn/event": true, "churn/model/gbdt": true, "churn/model/baseline": true, "churn/training/measure": true}

func TestImportFloors(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := "churn/" + filepath.ToSlash(rel)
		floor, known := floors[pkg]
		if !known {
			t.Errorf("%s: package %s has no floor: no further room without a second real consumer", path, pkg)
			return nil
		}
		seen[pkg] = true
		test := strings.HasSuffix(path, "_test.go")
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			name, err := strconv.Unquote(im.Path.Value)
			if err != nil {
				return err
			}
			if strings.HasPrefix(name, "churn/") {
				switch {
				case floors[name] == 0:
					t.Errorf("%s imports %s, which has no floor", path, name)
				case name == pkg && test: // an external test of the package itself
				case floors[name] >= floor:
					t.Errorf("%s (floor %d) imports %s (floor %d): imports point down only", path, floor, name, floors[name])
				case ownNothing[pkg] && !test && !strings.HasPrefix(name, pkg+"/internal/"):
					t.Errorf("%s imports %s: %s stands alone", path, name, pkg)
				}
				continue
			}
			if standardOnly[pkg] && !test && strings.Contains(name, ".") {
				t.Errorf("%s imports %s: %s uses the standard library only", path, name, pkg)
			}
			for library, door := range doors {
				if pkg != door && !test && (name == library || strings.HasSuffix(library, "/") && strings.HasPrefix(name, library) ||
					strings.HasPrefix(name, library+"/")) {
					t.Errorf("%s imports %s: only %s may", path, name, door)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range floors {
		if !seen[pkg] {
			t.Errorf("package %s has a floor and no files", pkg)
		}
	}
}
