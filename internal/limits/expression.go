package limits

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"sallyport"
)

// Expression computes an amount from a call. It is arithmetic in Go's syntax over
// what input (the arguments) and result name, and it is exact: 0.1 is a tenth.
//
//	input.amount
//	input.quantity * input.unit_price
//	sum(input.items.amount) + 0.30
//	count(input.to) + count(input.cc)
//	or(input.limit, 100)
//
// A path through a list means all of its items. What is not there, and what is no
// number, has no amount: only count, which finds nothing there, and or, which says
// what then, go on.
type Expression struct {
	text  string
	tree  ast.Expr
	fixed *sallyport.Amount // what it comes to when it is a number; nil when that depends on the call
}

// maxExpression bounds an expression in bytes: the parser recurses.
const maxExpression = 512

// ParseExpression reads an expression that may name these variables.
func ParseExpression(text string, variables ...string) (*Expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("an expression of more than %d bytes", maxExpression)
	}
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not an expression: write it like input.quantity * input.price", text)
	}
	if err := check(tree, variables); err != nil {
		return nil, err
	}
	e := &Expression{text: text, tree: tree}
	if _, number := tree.(*ast.BasicLit); number {
		if amount, err := e.amount(named{}); err == nil {
			e.fixed = &amount
		}
	}
	return e, nil
}

func (e *Expression) String() string {
	if e == nil {
		return ""
	}
	return e.text
}

// functions by the number of arguments that they take, 0 for one or more.
var functions = map[string]int{"bytes": 1, "count": 1, "max": 0, "min": 0, "or": 2, "sum": 1}

func check(tree ast.Expr, variables []string) error {
	switch t := tree.(type) {
	case *ast.ParenExpr:
		return check(t.X, variables)
	case *ast.BasicLit:
		if _, ok := sallyport.ParseNumber(t.Value); ok && (t.Kind == token.INT || t.Kind == token.FLOAT) {
			return nil
		}
		return fmt.Errorf("%s is not a decimal number", t.Value)
	case *ast.BinaryExpr:
		if strings.Contains("+-*/", t.Op.String()) {
			return errors.Join(check(t.X, variables), check(t.Y, variables))
		}
		return fmt.Errorf("%s is not one of + - * /", t.Op)
	case *ast.CallExpr:
		name, _ := t.Fun.(*ast.Ident)
		if name == nil {
			return errors.New("only functions can be called: bytes, count, max, min, or, sum")
		}
		wants, known := functions[name.Name]
		if !known || len(t.Args) == 0 || wants > 0 && wants != len(t.Args) {
			return fmt.Errorf("%s with %d arguments is none of bytes(x), count(x), max(x, …), min(x, …), or(x, y), sum(x)", name.Name, len(t.Args))
		}
		for i, arg := range t.Args {
			needsPath := name.Name == "bytes" || name.Name == "count" || name.Name == "sum" || name.Name == "or" && i == 0
			if _, err := pathOf(arg, variables); needsPath && err != nil {
				return err
			} else if err := check(arg, variables); !needsPath && err != nil {
				return err
			}
		}
		return nil
	default:
		_, err := pathOf(tree, variables)
		return err
	}
}

// pathOf is a variable and the names below it.
func pathOf(tree ast.Expr, variables []string) (path []string, err error) {
	switch t := tree.(type) {
	case *ast.Ident:
		for _, name := range variables {
			if t.Name == name {
				return []string{name}, nil
			}
		}
		return nil, fmt.Errorf("there is no %s here, only %s", t.Name, strings.Join(variables, " and "))
	case *ast.SelectorExpr:
		path, err = pathOf(t.X, variables)
		return append(path, t.Sel.Name), err
	case *ast.IndexExpr:
		path, err = pathOf(t.X, variables)
		literal, _ := t.Index.(*ast.BasicLit)
		if literal == nil || literal.Kind != token.STRING {
			return nil, errors.New(`an index is a name in quotes, such as input["unit price"]; a path through a list means all of its items`)
		}
		name, _ := strconv.Unquote(literal.Value)
		return append(path, name), err
	default:
		return nil, errors.New("this is neither a number, nor a path such as input.amount, nor + - * / of those, nor a function")
	}
}

// named are the variables of a call: what a server answered is absent before.
type named struct{ input, result sallyport.Value }

// Amount computes the amount. An error says why there is none.
func (e *Expression) amount(of named) (sallyport.Amount, error) {
	if e.fixed != nil {
		return *e.fixed, nil
	}
	number, err := of.number(e.tree)
	if err != nil {
		return 0, fmt.Errorf("%s can't be computed: %w", e.text, err)
	}
	return sallyport.AmountOf(number)
}

func (n named) number(tree ast.Expr) (*big.Rat, error) {
	switch t := tree.(type) {
	case *ast.ParenExpr:
		return n.number(t.X)
	case *ast.BasicLit:
		number, _ := sallyport.ParseNumber(t.Value)
		return number, nil
	case *ast.BinaryExpr:
		x, err := n.number(t.X)
		if err != nil {
			return nil, err
		}
		y, err := n.number(t.Y)
		if err != nil {
			return nil, err
		}
		switch t.Op {
		case token.ADD:
			return x.Add(x, y), nil
		case token.SUB:
			return x.Sub(x, y), nil
		case token.MUL:
			return x.Mul(x, y), nil
		}
		if y.Sign() == 0 {
			return nil, errors.New("it divides by 0")
		}
		return x.Quo(x, y), nil
	case *ast.CallExpr:
		return n.call(t.Fun.(*ast.Ident).Name, t.Args)
	default:
		values, all := n.values(tree)
		if !all || len(values) != 1 {
			return nil, fmt.Errorf("%s is not there, or is not one number", textOf(tree))
		}
		return numberOf(tree, values[0])
	}
}

func (n named) call(name string, args []ast.Expr) (*big.Rat, error) {
	switch name {
	case "bytes":
		size := 0
		values, _ := n.values(args[0])
		for _, v := range values {
			size += len(v.Raw())
		}
		return big.NewRat(int64(size), 1), nil
	case "count":
		total := 0
		values, _ := n.values(args[0])
		for _, v := range values {
			total += count(v)
		}
		return big.NewRat(int64(total), 1), nil
	case "or":
		if values, all := n.values(args[0]); all && len(values) > 0 && values[0].Type() != sallyport.Null {
			return n.number(args[0])
		}
		return n.number(args[1])
	case "sum":
		values, all := n.values(args[0])
		if !all {
			return nil, fmt.Errorf("%s is not there, or not in each item", textOf(args[0]))
		}
		sum := new(big.Rat)
		for _, v := range values {
			number, err := numberOf(args[0], v)
			if err != nil {
				return nil, err
			}
			sum.Add(sum, number)
		}
		return sum, nil
	}
	var most *big.Rat
	for _, arg := range args {
		number, err := n.number(arg)
		if err != nil {
			return nil, err
		}
		if wanted := map[string]int{"max": 1, "min": -1}[name]; most == nil || number.Cmp(most) == wanted {
			most = number
		}
	}
	return most, nil
}

// values are what a path leads to, through all items of lists. all says that it
// leads somewhere in each.
func (n named) values(tree ast.Expr) (values []sallyport.Value, all bool) {
	path, _ := pathOf(tree, []string{"input", "result"})
	at := n.input
	if path[0] == "result" {
		at = n.result
	}
	return below(at, path[1:])
}

func below(at sallyport.Value, path []string) (values []sallyport.Value, all bool) {
	switch {
	case at.Type() == sallyport.Absent:
		return nil, false
	case at.Type() == sallyport.Array:
		all = true
		for _, item := range at.Items() {
			more, there := below(item, path)
			values, all = append(values, more...), all && there
		}
		return values, all
	case len(path) == 0:
		return []sallyport.Value{at}, true
	default:
		return below(at.Get(path[0]), path[1:])
	}
}

// thousands is a text that is a thousand to who writes 1.000,50.
var thousands = regexp.MustCompile(`\A[+-]?[0-9]{1,3}\.[0-9]{3}\z`)

// numberOf reads a number, also one that is written as a text.
func numberOf(tree ast.Expr, v sallyport.Value) (*big.Rat, error) {
	text := string(v.Raw())
	if inner, ok := v.Text(); ok {
		text = inner
	}
	if v.Type() == sallyport.String && thousands.MatchString(text) {
		return nil, fmt.Errorf("%s is a text with three digits behind the point, which may mean thousands: send a number, or other digits", textOf(tree))
	}
	if number, ok := sallyport.ParseNumber(text); ok && (v.Type() == sallyport.Number || v.Type() == sallyport.String) {
		return number, nil
	}
	return nil, fmt.Errorf("%s is not a number", textOf(tree))
}

// count is how many a value stands for. A text can name several: who writes three
// addresses into one text has not sent one mail.
func count(v sallyport.Value) int {
	text, ok := v.Text()
	switch {
	case v.Type() == sallyport.Null:
		return 0
	case !ok:
		return 1
	}
	parts := 0
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' || r == '\n' || r == '\r' }) {
		if strings.TrimSpace(part) != "" {
			parts++
		}
	}
	return max(parts, strings.Count(text, "@"))
}

// textOf is a path as it is written.
func textOf(tree ast.Expr) string {
	path, _ := pathOf(tree, []string{"input", "result"})
	return strings.Join(path, ".")
}
