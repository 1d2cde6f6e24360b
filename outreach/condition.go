package outreach

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// A condition is compiled from an expression over [Facts]. Facts may be
// unknown, so it is evaluated in three-valued logic, as in SQL: && is false as
// soon as one side is false, || is true as soon as one side is true, and
// anything else that touches an unknown fact is unknown. To that end the
// expression is cut at its logical operators and each piece becomes a program
// of its own, which runs only if it knows every fact it uses.
type condition struct {
	op    logic
	parts []condition // of and, or; one of not

	program *vm.Program // of a piece
	facts   factSet     // that the piece uses
}

type logic uint8

const (
	piece logic = iota
	and
	or
	not
)

// truth is the outcome of a condition.
type truth uint8

const (
	no truth = iota
	yes
	unknown
)

// Limits on an expression, generous for a person and small for a machine.
const (
	maxExpression = 2000 // bytes
	maxNodes      = 200
)

var functions = []string{"abs", "min", "max"}

// conditionError says what is wrong with an expression; char counts characters
// from 0, -1 stands for the whole.
type conditionError struct {
	char   int
	reason string
}

// compileCondition checks and compiles an expression. The language is smaller
// than that of the package beneath: only the operators and functions that a
// condition needs, so that a playbook can neither call into the program nor
// run for long.
func compileCondition(text string) (*condition, *conditionError) {
	if len(text) > maxExpression {
		return nil, &conditionError{-1, fmt.Sprintf("longer than %d bytes", maxExpression)}
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, expressionError(err)
	}
	if err := checkNode(tree.Node, false); err != nil {
		return nil, err
	}
	if _, err := compile(text); err != nil {
		return nil, expressionError(err)
	}
	c, err := split(tree.Node)
	if err != nil {
		return nil, expressionError(err)
	}
	return &c, nil
}

func compile(text string) (*vm.Program, error) {
	options := []expr.Option{expr.Env(Facts{}), expr.AsBool(), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins()}
	for _, f := range functions {
		options = append(options, expr.EnableBuiltin(f))
	}
	return expr.Compile(text, options...)
}

func expressionError(err error) *conditionError {
	var at *file.Error
	if errors.As(err, &at) {
		return &conditionError{at.From, at.Message}
	}
	return &conditionError{-1, strings.Join(strings.Fields(err.Error()), " ")}
}

var unaryOperators = []string{"!", "not", "-", "+"}

var binaryOperators = []string{"&&", "and", "||", "or", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/"}

// checkNode allows what a condition may be made of.
func checkNode(n ast.Node, list bool) *conditionError {
	refuse := func(format string, args ...any) *conditionError {
		return &conditionError{n.Location().From, fmt.Sprintf(format, args...)}
	}
	var children []ast.Node
	switch n := n.(type) {
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.StringNode:
	case *ast.IdentifierNode:
		if _, ok := factNumber[n.Value]; !ok {
			return refuse("unknown fact %s: use one of %s", n.Value, strings.Join(FactNames(), ", "))
		}
	case *ast.UnaryNode:
		if !slices.Contains(unaryOperators, n.Operator) {
			return refuse("operator %s is not allowed", n.Operator)
		}
		children = []ast.Node{n.Node}
	case *ast.BinaryNode:
		if !slices.Contains(binaryOperators, n.Operator) {
			return refuse("operator %s is not allowed: use one of %s", n.Operator, strings.Join(binaryOperators, " "))
		}
		if n.Operator == "in" {
			if err := checkNode(n.Left, false); err != nil {
				return err
			}
			return checkNode(n.Right, true)
		}
		children = []ast.Node{n.Left, n.Right}
	case *ast.ConditionalNode:
		children = []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.ArrayNode:
		if !list {
			return refuse("a list may stand only to the right of in")
		}
		children = n.Nodes
	case *ast.BuiltinNode:
		if !slices.Contains(functions, n.Name) {
			return refuse("function %s is not allowed: use one of %s", n.Name, strings.Join(functions, ", "))
		}
		children = n.Arguments
	default:
		return refuse("not allowed here: compare facts with numbers, texts in quotes, true and false")
	}
	for _, child := range children {
		if err := checkNode(child, false); err != nil {
			return err
		}
	}
	return nil
}

// split cuts an expression at its logical operators.
func split(n ast.Node) (condition, error) {
	op, operands := piece, []ast.Node(nil)
	switch n := n.(type) {
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and":
			op, operands = and, []ast.Node{n.Left, n.Right}
		case "||", "or":
			op, operands = or, []ast.Node{n.Left, n.Right}
		}
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			op, operands = not, []ast.Node{n.Node}
		}
	}
	c := condition{op: op}
	for _, operand := range operands {
		part, err := split(operand)
		if err != nil {
			return c, err
		}
		c.parts = append(c.parts, part)
	}
	if op != piece {
		return c, nil
	}
	ast.Walk(&n, &c.facts)
	program, err := compile(n.String())
	c.program = program
	return c, err
}

// Visit implements ast.Visitor: it collects the facts an expression uses.
func (s *factSet) Visit(n *ast.Node) {
	if id, ok := (*n).(*ast.IdentifierNode); ok {
		s.add(factNumber[id.Value])
	}
}

// eval says whether the condition holds. Where it is unknown, missing holds
// the facts it would take. An error of the evaluation ends it.
func (c *condition) eval(f *Facts) (result truth, missing factSet, err error) {
	switch c.op {
	case piece:
		if missing = c.facts &^ f.known; missing != 0 {
			return unknown, missing, nil
		}
		v, err := expr.Run(c.program, f)
		if err != nil {
			return no, 0, err
		}
		if b, ok := v.(bool); ok && b {
			return yes, 0, nil
		}
		return no, 0, nil
	case not:
		switch result, missing, err = c.parts[0].eval(f); result {
		case yes:
			result = no
		case no:
			result = yes
		}
		return result, missing, err
	}
	decisive, otherwise := no, yes
	if c.op == or {
		decisive, otherwise = yes, no
	}
	for i := range c.parts {
		r, m, err := c.parts[i].eval(f)
		if err != nil {
			return no, 0, err
		}
		if r == decisive {
			return decisive, 0, nil
		}
		missing |= m
	}
	if missing != 0 {
		return unknown, missing, nil
	}
	return otherwise, 0, nil
}
