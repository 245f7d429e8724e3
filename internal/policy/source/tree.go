package source

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Tree is an expression with places, which cedar-go's has not.
type Tree struct {
	Node ast.IsNode
	Kids []*Tree
	At   Place // of the name, for an attribute; else of the first token
}

// Start is where the expression begins.
func (t *Tree) Start() Place {
	if len(t.Kids) > 0 {
		if first := t.Kids[0].Start(); first.Offset < t.At.Offset {
			return first
		}
	}
	return t.At
}

// Walk visits t and everything below it, stopping below a node for which visit
// answers false.
func (t *Tree) Walk(visit func(*Tree) bool) {
	if visit(t) {
		for _, kid := range t.Kids {
			kid.Walk(visit)
		}
	}
}

// Condition is one when (Want true) or unless (Want false).
type Condition struct {
	Want bool
	Body *Tree
}

// Conditions gives every when and unless of the policy its places. The leaves
// of a syntax tree appear in the source in the order in which a walk meets
// them, so a cursor over the tokens finds each.
func (s *Statement) Conditions() []Condition {
	c := s.Cursor()
	out := make([]Condition, len(s.Policy.Conditions))
	for i, condition := range s.Policy.Conditions {
		c.word("when", "unless")
		c.word("{")
		out[i] = Condition{bool(condition.Condition), c.tree(condition.Body)}
	}
	return out
}

// Start is where the statement begins.
func (s *Statement) Start() Place { return s.tokens[0].at }

// Cursor stands before the statement's first token.
func (s *Statement) Cursor() Cursor { return Cursor{tokens: s.tokens} }

// Cursor moves over a statement's tokens.
type Cursor struct {
	tokens []token
	next   int
	Last   Place
}

// seek moves behind the next token that fits, given with the one that follows
// it, and returns its place.
func (c *Cursor) seek(fits func(t, next token) bool) Place {
	for i := c.next; i < len(c.tokens); i++ {
		var next token
		if i+1 < len(c.tokens) {
			next = c.tokens[i+1]
		}
		if fits(c.tokens[i], next) {
			c.next, c.Last = i+1, c.tokens[i].at
			break
		}
	}
	return c.Last
}

func (c *Cursor) kind(kind byte) Place {
	return c.seek(func(t, _ token) bool { return t.kind == kind })
}

func (c *Cursor) word(words ...string) Place {
	return c.seek(func(t, _ token) bool { return t.kind != '"' && slices.Contains(words, t.text) })
}

// After is the place of the token that follows the next of these words.
func (c *Cursor) After(words ...string) Place {
	c.word(words...)
	return c.seek(func(token, token) bool { return true })
}

func (c *Cursor) tree(n ast.IsNode) *Tree {
	t := &Tree{Node: n}
	switch n := n.(type) {
	case ast.NodeTypeVariable:
		t.At = c.word(string(n.Name))
	case ast.NodeValue:
		t.At = c.Literal(n.Value)
	case ast.NodeTypeAccess:
		t.Kids = []*Tree{c.tree(n.Arg)}
		t.At = c.After(".", "[")
	case ast.NodeTypeHas:
		t.Kids = []*Tree{c.tree(n.Arg)}
		t.At = c.After("has")
	case ast.NodeTypeAnd:
		left := c.tree(n.Left)
		t.Kids, t.At = []*Tree{left, nil}, left.At
		// `x has a.b` is parsed as `x has a && x.a has b`.
		if right, ok := n.Right.(ast.NodeTypeHas); ok && c.next < len(c.tokens) && c.tokens[c.next].text == "." {
			at := c.After(".")
			t.Kids[1] = &Tree{Node: right, Kids: []*Tree{at.tree(right.Arg)}, At: at}
		} else {
			t.Kids[1] = c.tree(n.Right)
		}
	case ast.NodeTypeIs:
		t.Kids = c.trees(n)
		t.At = c.After("is")
	case ast.NodeTypeIsIn:
		t.Kids = []*Tree{c.tree(n.Left), nil}
		t.At = c.After("is")
		c.word("in")
		t.Kids[1] = c.tree(n.Entity)
	case ast.NodeTypeRecord:
		t.At = c.word("{")
		for _, element := range n.Elements {
			c.seek(func(_, next token) bool { return next.text == ":" })
			t.Kids = append(t.Kids, c.tree(element.Value))
		}
	case ast.NodeTypeSet:
		t.At = c.word("[")
		t.Kids = c.trees(n)
	case ast.NodeTypeIfThenElse:
		t.At = c.word("if")
		t.Kids = c.trees(n)
	case ast.NodeTypeExtensionCall:
		if isFunction(n.Name) {
			t.At = c.word(string(n.Name))
			t.Kids = c.trees(n)
		} else {
			t.Kids = c.trees(n)
			t.At = t.Kids[0].At
		}
	default:
		t.Kids = c.trees(n)
		t.At = t.Kids[0].At
	}
	return t
}

func (c *Cursor) trees(n ast.IsNode) []*Tree {
	var out []*Tree
	for _, kid := range children(n) {
		out = append(out, c.tree(kid))
	}
	return out
}

// tree gives every node of n the same place.
func (p Place) tree(n ast.IsNode) *Tree {
	t := &Tree{Node: n, At: p}
	for _, kid := range children(n) {
		t.Kids = append(t.Kids, p.tree(kid))
	}
	return t
}

// Literal is the place of the next literal that is such a value.
func (c *Cursor) Literal(v types.Value) Place {
	switch v.(type) {
	case types.String:
		return c.kind('"')
	case types.Long:
		return c.kind('0')
	case types.Boolean:
		return c.word("true", "false")
	default: // an entity: TYPE::"id"
		at := c.seek(func(t, next token) bool { return t.kind == 'a' && next.text == "::" })
		c.kind('"')
		c.Last = at
		return at
	}
}

// children are the expressions directly below n, in the order of the source.
func children(n ast.IsNode) []ast.IsNode {
	var out []ast.IsNode
	top := true
	ast.Inspect(ast.NewNode(n), func(m ast.IsNode) bool {
		if top {
			top = false
			return true
		}
		out = append(out, m)
		return false
	})
	return out
}

// isFunction tells decimal("1.0") from a.lessThan(b): both are extension calls.
func isFunction(name types.Path) bool {
	return name == "decimal" || name == "ip" || name == "datetime" || name == "duration"
}

// Settled is the expression with what is certain about has put in its place:
// given answers for a path whether it is there, and whether that is certain.
func (t *Tree) Settled(given func(path []string) (there, certain bool)) ast.IsNode {
	kid := func(i int) ast.IsNode { return t.Kids[i].Settled(given) }
	switch n := t.Node.(type) {
	case ast.NodeTypeHas:
		if path, _, ok := Looks(t); ok {
			if there, certain := given(path); certain {
				return ast.NodeValue{Value: types.Boolean(there)}
			}
		}
		return n
	case ast.NodeTypeAnd:
		return ast.NodeTypeAnd{BinaryNode: ast.BinaryNode{Left: kid(0), Right: kid(1)}}
	case ast.NodeTypeOr:
		return ast.NodeTypeOr{BinaryNode: ast.BinaryNode{Left: kid(0), Right: kid(1)}}
	case ast.NodeTypeNot:
		return ast.NodeTypeNot{UnaryNode: ast.UnaryNode{Arg: kid(0)}}
	case ast.NodeTypeIfThenElse:
		return ast.NodeTypeIfThenElse{If: kid(0), Then: kid(1), Else: kid(2)}
	default:
		return n
	}
}
