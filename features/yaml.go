package features

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds lists within lists. A feature set has four levels.
const maxDepth = 16

// UnmarshalYAML decodes one YAML document strictly. Sets come with model files,
// which may be hostile: anchors can stand for billions of nodes, the parser
// takes memory by the square of the depth, and it panics on some tags. None of
// these has a use here.
func UnmarshalYAML(b []byte, v any) (err error) {
	if err := plain(string(b)); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("not a YAML document")
		}
	}()
	return yaml.UnmarshalWithOptions(b, v, yaml.Strict())
}

// plain refuses what a declaration has no use for.
func plain(text string) error {
	flow, entries, begun := 0, 0, false
	for _, t := range lexer.Tokenize(text) {
		at := fmt.Sprintf("line %d", t.Position.Line)
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.MappingKeyType, token.DirectiveType:
			return fmt.Errorf("%s: %q: anchors, aliases, tags, directives and complex keys are not supported; quote it if it is a text", at, t.Value)
		case token.DocumentHeaderType, token.DocumentEndType:
			if begun {
				return fmt.Errorf("%s: more than one document", at)
			}
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		}
		begun = begun || t.Type != token.CommentType
		if t.Type == token.SequenceEntryType {
			entries++
		} else {
			entries = 0
		}
		if flow > maxDepth || entries > maxDepth || t.Position.IndentNum > 4*maxDepth {
			return fmt.Errorf("%s: nested too deeply", at)
		}
	}
	return nil
}

// bareWord needs no quotes in YAML, unless it is a wordOfYAML.
var (
	bareWord   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	wordOfYAML = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|y|n|null|nan|inf)$`)
)

// marshal encodes as YAML with every text quoted that is not a plain word. The
// library leaves texts such as .inf bare, which then come back as numbers.
func marshal(v any) ([]byte, error) {
	return yaml.MarshalWithOptions(v, yaml.CustomMarshaler(func(s string) ([]byte, error) {
		if bareWord.MatchString(s) && !wordOfYAML.MatchString(s) {
			return []byte(s), nil
		}
		var b strings.Builder
		e := json.NewEncoder(&b) // a JSON string is a YAML string
		e.SetEscapeHTML(false)
		err := e.Encode(s)
		return []byte(strings.TrimSuffix(b.String(), "\n")), err
	}))
}
