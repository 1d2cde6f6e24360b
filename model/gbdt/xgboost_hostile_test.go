package gbdt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// xgboostHostile are models that ReadXGBoost must refuse, each made from
// xgboostDoc by replacing old (its first occurrence) with new.
var xgboostHostile = []struct{ name, old, new, want string }{
	{"nothing", xgboostDoc, "", "neither JSON nor UBJSON"},
	{"binary of old", xgboostDoc, "binf\x00\x00\x00\x3f\x0d\x00\x00\x00", "neither JSON nor UBJSON"},
	{"empty", xgboostDoc, "{}", "there is no version"},
	{"array", xgboostDoc, "[]", "neither JSON nor UBJSON"},
	{"more behind", `"version":[3,4,1]}`, `"version":[3,4,1]} {}`, "something follows"},
	{"unknown field", `"learner":`, `"Learner":`, `field "Learner" is not known`},
	{"field twice", `"version":[3,4,1]`, `"version":[3,4,1],"version":[3,4,1]`, "version: occurs twice"},
	{"later format", `"loss_changes"`, `"loss_gains"`, `field "loss_gains" is not known`},
	{"version before", "[3,4,1]", "[1,6,2]", "XGBoost 1.6, want"},
	{"version after", "[3,4,1]", "[4,0,0]", "XGBoost 4.0, want"},
	{"no version", `,"version":[3,4,1]`, "", "no version"},

	{"several classes", `"num_class":"0"`, `"num_class":"3"`, "several outputs"},
	{"several targets", `"num_target":"1"`, `"num_target":"2"`, "several outputs"},
	{"several base scores", "[2.5E-1]", "[2.5E-1,5E-1]", "several outputs"},
	{"tree of another output", `"tree_info":[0]`, `"tree_info":[1]`, "several outputs"},
	{"vector leaf", `"size_leaf_vector":"1"`, `"size_leaf_vector":"2"`, "several outputs"},
	{"vector leaf values", `"left_children"`, `"leaf_weights":[1E0,2E0],"left_children"`, "several outputs"},
	{"linear", `"gbtree_model_param"`, `"boosted_rounds":2,"weights":[1E0],"gbtree_model_param"`, "gblinear"},
	{"linear by name", `"name":"gbtree"`, `"name":"gblinear"`, `booster "gblinear"`},
	{"booster in itself", `"gradient_booster":{`, `"gradient_booster":{"gbtree":{"gbtree":{}},`, `"gbtree" is not known`},
	{"objective", "binary:logistic", "reg:squarederror", `objective "reg:squarederror"`},
	{"hinge", "binary:logistic", "binary:hinge", `objective "binary:hinge"`},
	{"base score", "[2.5E-1]", "[2.5E0]", "not a probability"},
	{"base score NaN", "[2.5E-1]", "[NaN]", "not a probability"},
	{"base score missing", `"base_score":"[2.5E-1]",`, "", "base_score"},

	{"names", `["a","b"]`, `["a"]`, "1 feature_names for 2"},
	{"name twice", `["a","b"]`, `["a","a"]`, "is taken"},
	{"name twice after replacing", `["a","b"]`, `["a b","a\tb"]`, "is taken"},
	{"name empty", `["a","b"]`, `["a",""]`, "is empty"},
	{"name not UTF-8", `["a","b"]`, "[\"a\",\"\xff\"]", "not a string"},
	{"types", `["float","c"]`, `["float"]`, "1 feature_types for 2"},
	{"no features", `"num_feature":"2","num_target"`, `"num_feature":"0","num_target"`, "feature"},
	{"huge feature count", `"num_feature":"2","num_target"`, `"num_feature":"2000000000","num_target"`, "over the limit"},
	{"feature count too large", `"num_feature":"2","num_target"`, `"num_feature":"99999999999","num_target"`, "31 bits"},
	{"levels", `"enc":[]`, `"enc":[{"type":15,"values":[1]}]`, "levels of 1 columns"},
	{"levels of a number", `"enc":[]`, `"enc":[{"type":15,"values":[1]},{"type":15,"values":[1]}]`, "not categorical"},
	{"levels beyond the end", `"enc":[]`, `"enc":[{"offsets":[0,2],"values":[97]}]`, "bytes 0 to 2 of 1"},
	{"levels backwards", `"enc":[]`, `"enc":[{"offsets":[1,0],"values":[97]}]`, "bytes 1 to 0"},
	{"levels negative", `"enc":[]`, `"enc":[{"offsets":[-1,0],"values":[97]}]`, "bytes -1 to 0"},
	{"levels not UTF-8", `"enc":[]`, `"enc":[{"offsets":[0,1],"values":[-1]}]`, "not a string"},

	{"trees", `"num_trees":"1"`, `"num_trees":"2"`, "found 1 trees"},
	{"weights", `"tree_info":[0]`, `"tree_info":[0],"weight_drop":[1E0,1E0]`, "weight_drop"},
	{"weight NaN", `"tree_info":[0]`, `"tree_info":[0],"weight_drop":[NaN]`, "is NaN"},
	{"number of the tree", `"id":0`, `"id":1`, "found 1, want 0"},
	{"best iteration", `"attributes":{}`, `"attributes":{"best_iteration":"1"}`, "best_iteration 1"},
	{"best iteration negative", `"attributes":{}`, `"attributes":{"best_iteration":"-1"}`, `"-1"`},
	{"iterations", `"iteration_indptr":[0,1]`, `"iteration_indptr":[0,9]`, "iteration_indptr ends with 9"},
	{"no nodes", `"num_nodes":"5"`, `"num_nodes":"0"`, "no nodes"},
	{"huge node count", `"num_nodes":"5"`, `"num_nodes":"2000000000"`, "for 2000000000 nodes"},
	{"node missing", "[1,-1,3,-1,-1]", "[1,-1,3,-1]", "left_children has 4 values for 5 nodes"},
	{"field missing", `"default_left":[1,0,0,0,0],`, "", "default_left has 0 values"},
	{"cycle", "[1,-1,3,-1,-1]", "[1,-1,0,-1,-1]", "node 2 has child 0"},
	{"own child", "[1,-1,3,-1,-1]", "[1,-1,2,-1,-1]", "two parents"},
	{"child twice", "[1,-1,3,-1,-1]", "[1,-1,1,-1,-1]", "two parents"},
	{"child out of range", "[1,-1,3,-1,-1]", "[1,-1,5,-1,-1]", "child 5"},
	{"child negative", "[1,-1,3,-1,-1]", "[1,-1,-2,-1,-1]", "child -2"},
	{"one child", "[1,-1,3,-1,-1]", "[1,-1,-1,-1,-1]", "child -1"},
	{"child overflow", "[1,-1,3,-1,-1]", "[1,-1,4294967299,-1,-1]", "32 bits"},
	{"lost nodes", "[1,-1,3,-1,-1],\n\"loss_changes\":[1E1,0E0,3E0,0E0,0E0],\"parents\":[2147483647,0,0,2,2],\"right_children\":[2,-1,4,-1,-1]",
		"[1,-1,-1,-1,-1],\n\"loss_changes\":[1E1,0E0,3E0,0E0,0E0],\"parents\":[2147483647,0,0,2,2],\"right_children\":[2,-1,-1,-1,-1]", "2 nodes are children"},
	{"feature out of range", "[0,0,1,0,0]", "[0,0,2,0,0]", "there are 2 features"},
	{"feature negative", "[0,0,1,0,0]", "[0,0,-1,0,0]", "split_feature"},
	{"condition NaN", "[5E-1,", "[NaN,", "node 0: condition is NaN"},
	{"leaf NaN", "-1E0,NaN,2E0", "NaN,NaN,2E0", "leaf_value[0] is NaN"},
	{"leaf infinite", "-1E0,NaN,2E0", "Infinity,NaN,2E0", "leaf_value[0] is +Inf"},
	{"leaf too large", "-1E0,NaN,2E0", "1E99,NaN,2E0", "32 bits"},
	{"gain NaN", "[1E1,0E0,3E0", "[NaN,0E0,3E0", "split_gain[0] is NaN"},
	{"cover negative", "[8E0,2E0", "[8E0,-2E0", "sum_hessian[1]"},
	{"cover infinite", "[8E0,2E0", "[8E0,Infinity", "sum_hessian[1]"},
	{"type", `"split_type":[0,0,1`, `"split_type":[2,0,1`, "split_type[0] is 2"},
	{"default", `"default_left":[1`, `"default_left":[2`, "default_left[0] is 2"},
	{"set of a number", `"split_type":[0,0,1`, `"split_type":[1,0,1`, "node 0 tests a category, but has no set"},
	{"set of no node", `"categories_nodes":[2]`, `"categories_nodes":[5]`, "categories_nodes[0] is 5"},
	{"set of a negative node", `"categories_nodes":[2]`, `"categories_nodes":[-1]`, "categories_nodes[0] is -1"},
	{"set twice", `"categories_nodes":[2],"categories_segments":[0],` + "\n" + `"categories_sizes":[2]`,
		`"categories_nodes":[2,2],"categories_segments":[0,1],"categories_sizes":[1,1]`, "categories_nodes[1] is 2"},
	{"set elsewhere", `"categories_segments":[0]`, `"categories_segments":[1]`, "from 1 of 2"},
	{"set too long", `"categories_sizes":[2]`, `"categories_sizes":[3]`, "3 codes"},
	{"set overflow", `"categories_sizes":[2]`, `"categories_sizes":[9223372036854775807]`, "9223372036854775807 codes"},
	{"set empty", `"categories_sizes":[2]`, `"categories_sizes":[0]`, "0 codes"},
	{"set too short", `"categories_sizes":[2]`, `"categories_sizes":[1]`, "1 of 2 categories are in no set"},
	{"set without size", `"categories_sizes":[2]`, `"categories_sizes":[]`, "0 sizes"},
	{"code negative", `"categories":[1,33]`, `"categories":[1,-33]`, "code -33"},
	{"code too large", `"categories":[1,33]`, `"categories":[1,16777216]`, "code 16777216"},

	{"string for number", `"id":0`, `"id":"0"`, "want a number"},
	{"number for string", `"num_nodes":"5"`, `"num_nodes":5`, "want a string"},
	{"object for array", `"tree_info":[0]`, `"tree_info":{}`, "found an object, want an array"},
	{"fraction", `"id":0`, `"id":0.5`, `"0.5" is not a whole number`},
	{"hexadecimal", "[5E-1,", "[0x1p-1,", `"0x1p-1" is not a number`},
	{"no number", "[5E-1,", "[inf,", `"inf" is not a number`},
	{"no comma", "[1,33]", "[1 33]", "want a comma"},
	{"comma too many", "[1,33]", "[1,33,]", "want a number"},
	{"no colon", `"id":0`, `"id" 0`, "want a colon"},
	{"key without quotes", `"id":0`, `id:0`, "want a string"},
	{"wrong bracket", "[1,33]", "[1,33}", "want a comma"},
	{"escape", `["a","b"]`, `["a","\x"]`, "not a string"},
	{"deep", `"attributes":{}`, `"attributes":{"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "within each other"},
}

func TestReadXGBoostRefuses(t *testing.T) {
	for _, c := range xgboostHostile {
		bad := strings.Replace(xgboostDoc, c.old, c.new, 1)
		if bad == xgboostDoc {
			t.Errorf("%s: nothing replaced", c.name)
		}
		f, err := ReadXGBoost(strings.NewReader(bad), Limits{})
		if err == nil {
			t.Errorf("%s: read as %+v", c.name, f)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q, want one with %q", c.name, err, c.want)
		}
	}
}

// TestReadXGBoostPlace: the error says where in the file.
func TestReadXGBoostPlace(t *testing.T) {
	bad := strings.Replace(xgboostDoc, "[1,-1,3,-1,-1]", "[1,-1,x]", 1)
	_, err := ReadXGBoost(strings.NewReader(bad), Limits{})
	want := fmt.Sprintf(`reading XGBoost model: byte %d: learner: gradient_booster: model: trees: [0]: left_children: [2]: "x" is not a whole number`,
		strings.Index(bad, "x]")+1)
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestReadXGBoostUBJSONRefuses: bytes of logitraw.ubj are replaced.
func TestReadXGBoostUBJSONRefuses(t *testing.T) {
	good := xgboostFile(t, "logitraw.ubj")
	for _, c := range []struct{ name, old, new, want string }{
		{"huge array", "[$d#L\x00", "[$d#L\x7f", "does not fit"},
		{"array beyond the end", "[$d#L\x00\x00\x00\x00\x00\x00\x00", "[$d#L\x00\x00\x00\x00\x00\x00\x7f", "does not fit"},
		{"negative length", "[$d#L\x00", "[$d#L\xff", "does not fit"},
		{"huge array of anything", "[#L\x00", "[#L\x7f", "does not fit"},
		{"huge key", "{L\x00", "{L\x7f", "does not fit"},
		{"huge string", "SL\x00", "SL\x7f", "does not fit"},
		{"strings in an array of numbers", "[$d", "[$S", "not that of a number"},
		{"objects in an array of numbers", "[$d", "[${", "not that of a number"},
		{"no number of values", "[$d#", "[$d[", "not their number"},
		{"floats for whole numbers", "left_children[$l", "left_children[$d", "want a whole number"},
		{"whole numbers for floats", "base_scoreSL", "base_scoreCL", "marker 'C'"},
		{"whole numbers for floats", "split_conditions[$d", "split_conditions[$l", "want a float"},
		{"key", "left_children", "left\xffchildren", "not UTF-8"},
		{"string length as float", "SL", "Sd", "want a whole number"},
	} {
		bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(good, bad) {
			t.Errorf("%s: nothing replaced", c.name)
		}
		f, err := ReadXGBoost(bytes.NewReader(bad), Limits{})
		if err == nil {
			t.Errorf("%s: read as %+v", c.name, f)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := ReadXGBoost(bytes.NewReader(append(good, 'Z')), Limits{}); err == nil {
		t.Error("read with a byte too many")
	}
}

// TestReadXGBoostCutOff: no beginning of a file is a model.
func TestReadXGBoostCutOff(t *testing.T) {
	for _, doc := range []string{xgboostDoc, string(xgboostFile(t, "edges.ubj")[:4000])} {
		for n := range len(doc) {
			if _, err := ReadXGBoost(strings.NewReader(doc[:n]), Limits{}); err == nil {
				t.Fatalf("read after %d of %d bytes", n, len(doc))
			}
		}
	}
}

func TestReadXGBoostLimits(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{Bytes: int64(len(xgboostDoc)) - 1}, "bytes"},
		{Limits{Features: 1}, "features"},
		{Limits{Leaves: 3}, "leaves"},
		{Limits{Depth: 2}, "depth"},
	} {
		if _, err := ReadXGBoost(strings.NewReader(xgboostDoc), c.limits); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.limits, err, c.want)
		}
	}
	if _, err := ReadXGBoost(bytes.NewReader(xgboostFile(t, "edges.ubj")), Limits{Trees: 23}); err == nil || !strings.Contains(err.Error(), "trees") {
		t.Errorf("error %v, want one about trees", err)
	}
	exact := Limits{Bytes: int64(len(xgboostDoc)), Features: 2, Trees: 1, Leaves: 4, Depth: 3}
	if _, err := ReadXGBoost(strings.NewReader(xgboostDoc), exact); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

// xgboostChain is a model of one tree, in UBJSON, in which node 2i tests
// whether feature i, counted round and round, is missing or in a set of one
// code, has a leaf to the left and the next test to the right.
func xgboostChain(tests int, code int32, features int) []byte {
	nodes := 2*tests + 1
	column := func(value func(node int) int32) string {
		b := fmt.Appendf(nil, "[$l#L%s", binary.BigEndian.AppendUint64(nil, uint64(nodes)))
		for i := range nodes {
			b = binary.BigEndian.AppendUint32(b, uint32(value(i)))
		}
		return string(b)
	}
	inner := func(yes func(i int) int32, no int32) string {
		return column(func(i int) int32 {
			if i%2 == 0 && i < nodes-1 {
				return yes(i)
			}
			return no
		})
	}
	zero := column(func(int) int32 { return 0 })
	floats := "[$d" + zero[3:]
	number := func(n int) string { return ubjsonString("S", fmt.Sprint(n)) }
	sets := func(value func(k int) int32) string {
		b := fmt.Appendf(nil, "[$l#L%s", binary.BigEndian.AppendUint64(nil, uint64(tests)))
		for k := range tests {
			b = binary.BigEndian.AppendUint32(b, uint32(value(k)))
		}
		return string(b)
	}
	tree := ubjsonObject(
		"left_children", inner(func(i int) int32 { return int32(i + 1) }, -1),
		"right_children", inner(func(i int) int32 { return int32(i + 2) }, -1),
		"split_indices", inner(func(i int) int32 { return int32(i / 2 % features) }, 0),
		"split_type", inner(func(int) int32 { return 1 }, 0),
		"default_left", zero, "split_conditions", floats, "loss_changes", floats, "sum_hessian", floats,
		"categories", sets(func(int) int32 { return code }),
		"categories_nodes", sets(func(k int) int32 { return int32(2 * k) }),
		"categories_segments", sets(func(k int) int32 { return int32(k) }),
		"categories_sizes", sets(func(int) int32 { return 1 }),
		"id", "i\x00", "tree_param", ubjsonObject("num_nodes", number(nodes), "num_deleted", number(0)),
	)
	return []byte(ubjsonObject(
		"learner", ubjsonObject(
			"gradient_booster", ubjsonObject("name", ubjsonString("S", "gbtree"), "model", ubjsonObject(
				"gbtree_model_param", ubjsonObject("num_trees", number(1)), "tree_info", "[i\x00]", "trees", "["+tree+"]")),
			"learner_model_param", ubjsonObject("base_score", ubjsonString("S", "0.5"), "num_feature", number(features)),
			"objective", ubjsonObject("name", ubjsonString("S", "binary:logistic"))),
		"version", "[i\x03i\x04i\x01]"))
}

// ubjsonString is a string in UBJSON.
func ubjsonString(marker, s string) string {
	return marker + "L" + string(binary.BigEndian.AppendUint64(nil, uint64(len(s)))) + s
}

// ubjsonObject is an object in UBJSON.
func ubjsonObject(pairs ...string) string {
	b := "{"
	for i := 0; i < len(pairs); i += 2 {
		b += ubjsonString("", pairs[i]) + pairs[i+1]
	}
	return b + "}"
}

// TestReadXGBoostMemory: neither sets of a great code nor branches that are
// there twice make much more of a file than it is.
func TestReadXGBoostMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		tests int
		code  int32
		want  string
	}{
		{"harmless", 5, 1000, ""},
		{"great codes", 1000, xgboostCodes - 1, "much more memory"},
		{"branches that double", 30, 0, "much more memory"},
	} {
		doc := xgboostChain(c.tests, c.code, c.tests)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadXGBoost(bytes.NewReader(doc), Limits{})
		runtime.ReadMemStats(&after)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d", c.name, used, len(doc))
		}
	}
}

// FuzzReadXGBoost: no file makes the reader panic, and whatever it accepts can
// be used and written.
func FuzzReadXGBoost(f *testing.F) {
	for _, name := range xgboostModels {
		f.Add(xgboostFile(f, name+".json"))
		f.Add(xgboostFile(f, name+".ubj"))
	}
	f.Add([]byte(xgboostDoc))
	for _, c := range xgboostHostile {
		f.Add([]byte(strings.Replace(xgboostDoc, c.old, c.new, 1)))
	}
	f.Add(xgboostChain(5, 1000, 5))
	limits := Limits{Bytes: 1 << 20, Depth: 50}
	f.Fuzz(func(t *testing.T, data []byte) {
		forest, err := ReadXGBoost(bytes.NewReader(data), limits)
		if err != nil {
			return
		}
		row := make([]float32, len(forest.FeatureNames))
		sameCompiled(t, forest, row)
		first := text(t, forest)
		if _, err := ReadText(strings.NewReader(first), Limits{}); err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, first)
		}
	})
}
