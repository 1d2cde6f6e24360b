package baseline

import (
	"errors"
	"runtime"
	"slices"
	"unsafe"

	"github.com/sjwhitworth/golearn/linear_models"
)

// golearn keeps liblinear's structures in unexported fields. This file is the
// only one that looks at them, through the mirrors below of the structures in
// golearn's linear_models/linear.h. go.mod fixes golearn's version, and each
// mirror is compared with values known from the call before it is believed.

// cProblem mirrors struct problem; golearn's Problem holds nothing else.
type cProblem struct {
	l, n int32
	y    *float64
	x    **cNode
	bias float64
}

// cNode mirrors struct feature_node.
type cNode struct {
	_ int32   // index
	_ float64 // value
}

// cModel mirrors struct model; golearn's Model is a pointer to it.
type cModel struct {
	// struct parameter
	solver int32
	eps, c float64
	_      int32 // number of class weights
	_, _   unsafe.Pointer
	_      float64

	classes  int32
	features int32
	w        *float64
	label    *int32
	bias     float64
}

var errLayout = errors.New("golearn's liblinear structures are not those of the version this was written for")

// pin keeps in place what problem points to, until the function it returns is
// called. NewProblem leaves the problem, the labels, the row pointers and one
// array with the cells of all rows in Go memory, each pointing to the next,
// and Train passes that to C. The runtime allows it only for pinned memory
// (cgo's rules for passing pointers; "Go pointer to unpinned Go pointer").
func pin(problem *linear_models.Problem, rows int) (unpin func(), err error) {
	if unsafe.Sizeof(*problem) != unsafe.Sizeof(cProblem{}) {
		return nil, errLayout
	}
	c := (*cProblem)(unsafe.Pointer(problem))
	if int(c.l) != rows || c.bias != -1 || c.y == nil || c.x == nil || *c.x == nil {
		return nil, errLayout
	}
	var p runtime.Pinner
	p.Pin(c.y)
	p.Pin(c.x)
	p.Pin(*c.x) // the first row is the start of the array of all
	return p.Unpin, nil
}

// weights copies the weights of the given columns out of a trained model.
// They speak for label 1: liblinear takes the label it saw first for the
// positive one, but puts 1 before -1 whatever the order of the rows.
// linear_models.Export would write the same to a file, with a digit too few
// to be exact, and leak the file's name.
func weights(model *linear_models.Model, columns int, p LogisticParams) ([]float64, error) {
	if unsafe.Sizeof(*model) != unsafe.Sizeof(uintptr(0)) {
		return nil, errLayout
	}
	c := *(**cModel)(unsafe.Pointer(model))
	// golearn counts a column more than there is; its weight is zero.
	if c == nil || c.solver != linear_models.L2R_LR || c.eps != p.Tolerance || c.c != p.C ||
		c.classes != 2 || int(c.features) != columns+1 || c.bias != -1 || c.w == nil || c.label == nil {
		return nil, errLayout
	}
	if label := unsafe.Slice(c.label, 2); label[0] != 1 || label[1] != -1 {
		return nil, errLayout
	}
	return slices.Clone(unsafe.Slice(c.w, columns)), nil
}
