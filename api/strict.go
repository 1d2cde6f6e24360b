package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"churn/event"
)

// Reading a body is done in two steps. parse checks the text as JSON: syntax,
// UTF-8, duplicate names, depth, nothing after the value. Then an input walks
// the values by the fields it expects and collects all that is wrong, where an
// ordinary decoder would stop at the first.

// readBody returns the body of a request of one of the media types.
func (s *Server) readBody(c *gin.Context, limit int64, types ...string) (body []byte, mediaType string, err error) {
	r := c.Request
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, "", fail(wrongMediaType, "send the body without Content-Encoding")
	}
	if len(r.Header.Values("Content-Type")) != 1 {
		return nil, "", fail(wrongMediaType, "say what the body is by one header: Content-Type: %s", types[0])
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	known := false
	for _, t := range types {
		known = known || t == mediaType
	}
	if cs, given := params["charset"]; given && !strings.EqualFold(cs, "utf-8") {
		known = false
	}
	if err != nil || !known {
		return nil, "", fail(wrongMediaType, "Content-Type must be %s, in UTF-8", strings.Join(types, " or "))
	}
	body, err = io.ReadAll(http.MaxBytesReader(c.Writer, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, "", fail(tooLarge, "the body is larger than %d bytes", limit)
	case err != nil:
		return nil, "", &fault{kind: brokenBody, detail: "the body did not arrive whole", cause: err}
	}
	return body, mediaType, nil
}

// readJSON reads a body of one JSON value.
func (s *Server) readJSON(c *gin.Context, limit int64) (jsontext.Value, error) {
	body, _, err := s.readBody(c, limit, "application/json")
	if err != nil {
		return nil, err
	}
	return parse(body, s.config.MaxDepth)
}

// parse checks that text is one strict JSON value.
func parse(text []byte, maxDepth int) (jsontext.Value, error) {
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		return nil, fail(brokenBody, "the body begins with a byte order mark: leave it out")
	}
	if tooDeep(text, maxDepth) {
		return nil, fail(brokenBody, "the body is nested deeper than %d", maxDepth)
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	v, err := d.ReadValue()
	if err == nil {
		if _, err = d.ReadToken(); err == io.EOF {
			return v, nil
		}
		return nil, fail(brokenBody, "something follows the JSON value at byte %d", len(v))
	}
	if err == io.EOF {
		return nil, fail(brokenBody, "the body is empty")
	}
	f := fail(brokenBody, "not valid JSON")
	var se *jsontext.SyntacticError
	if errors.As(err, &se) {
		reason := "not valid JSON"
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			reason = "the name appears twice"
		case errors.Is(err, io.ErrUnexpectedEOF):
			reason = "the text ends within a value"
		case !utf8.Valid(text):
			reason = "not valid UTF-8"
		case strings.Contains(se.Err.Error(), "surrogate"):
			reason = "half of a surrogate pair"
		}
		f.detail = fmt.Sprintf("%s, at or after byte %d", reason, se.ByteOffset)
		f.errors = []FieldError{{short(string(se.JSONPointer)), reason}}
	}
	return nil, f
}

// tooDeep counts brackets outside of strings.
func tooDeep(text []byte, limit int) bool {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString:
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// input walks a parsed value and collects what is wrong with it.
type input struct {
	errors []FieldError
}

// maxFieldErrors is how many errors of one body are told.
const maxFieldErrors = 50

func (in *input) add(at, format string, args ...any) {
	if len(in.errors) < maxFieldErrors {
		in.errors = append(in.errors, FieldError{short(at), fmt.Sprintf(format, args...)})
	}
}

// short keeps a name chosen by the caller from filling the answer.
func short(at string) string {
	if len(at) <= 200 {
		return at
	}
	return strings.ToValidUTF8(at[:200], "") + "…"
}

// fault is nil if nothing was wrong.
func (in *input) fault(k *kind) error {
	if len(in.errors) == 0 {
		return nil
	}
	return &fault{kind: k, detail: "see errors for what is wrong", errors: in.errors}
}

// read takes a value at a place. It is not called with null.
type read func(at string, v jsontext.Value)

// field is a member that an object may have.
type field struct {
	name string
	need bool
	read read
}

// member is a name with its value.
type member struct {
	name  string
	value jsontext.Value
}

// members splits an object; ok is false if it is none.
func (in *input) members(at string, v jsontext.Value) (list []member, ok bool) {
	if v.Kind() != '{' {
		in.add(at, "must be an object")
		return nil, false
	}
	// parse has looked for duplicates already.
	d := jsontext.NewDecoder(bytes.NewBuffer(v), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		list = append(list, member{text, value})
	}
	return list, true
}

// object reads an object with the given fields and no others. Null stands for
// a field that is not there.
func (in *input) object(at string, v jsontext.Value, fields ...field) {
	list, ok := in.members(at, v)
	if !ok {
		return
	}
	met := make([]bool, len(fields))
	for _, m := range list {
		known := false
		for i := range fields {
			if fields[i].name != m.name {
				continue
			}
			known = true
			if m.value.Kind() != 'n' {
				met[i] = true
				fields[i].read(pointer(at, m.name), m.value)
			}
		}
		if !known {
			in.add(pointer(at, m.name), "unknown field: use %s", names(fields))
		}
	}
	for i, f := range fields {
		if f.need && !met[i] {
			in.add(pointer(at, f.name), "missing")
		}
	}
}

func names(fields []field) string {
	list := make([]string, len(fields))
	for i := range fields {
		list[i] = fields[i].name
	}
	return strings.Join(list, ", ")
}

// array splits an array into its elements.
func (in *input) array(dst *[]jsontext.Value) read {
	return func(at string, v jsontext.Value) {
		if v.Kind() != '[' {
			in.add(at, "must be an array")
			return
		}
		d := jsontext.NewDecoder(bytes.NewBuffer(v), jsontext.AllowDuplicateNames(true))
		if _, err := d.ReadToken(); err != nil {
			return
		}
		*dst = []jsontext.Value{}
		for d.PeekKind() != ']' {
			e, err := d.ReadValue()
			if err != nil {
				return
			}
			*dst = append(*dst, e)
		}
	}
}

func (in *input) boolean(dst *bool) read {
	return func(at string, v jsontext.Value) {
		switch v.Kind() {
		case 't', 'f':
			*dst = v.Kind() == 't'
		default:
			in.add(at, "must be true or false")
		}
	}
}

// unquote returns the text of a JSON string.
func unquote(v jsontext.Value) string {
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil { // parse has accepted it
		return ""
	}
	return string(b)
}

// text reads a string of at most event.MaxTextLength bytes.
func (in *input) text(dst *string) read {
	return func(at string, v jsontext.Value) {
		if v.Kind() != '"' {
			in.add(at, "must be a string")
			return
		}
		s := unquote(v)
		if len(s) > event.MaxTextLength {
			in.add(at, "longer than %d bytes", event.MaxTextLength)
			return
		}
		*dst = s
	}
}

// id reads a string by the rules of event.CheckID.
func (in *input) id(dst *string) read {
	return func(at string, v jsontext.Value) {
		if v.Kind() != '"' {
			in.add(at, "must be a string")
			return
		}
		s := unquote(v)
		if reason := idProblem(s); reason != "" {
			in.add(at, "%s", reason)
			return
		}
		*dst = s
	}
}

// idProblem says why a text cannot be an id.
func idProblem(s string) string {
	var fe *event.FieldError
	if errors.As(event.CheckID("", s), &fe) {
		return fe.Reason
	}
	return ""
}

func (in *input) integer(dst *int, low, high int) read {
	return func(at string, v jsontext.Value) {
		n, err := strconv.Atoi(string(v))
		if v.Kind() != '0' || err != nil || n < low || n > high {
			in.add(at, "must be a whole number from %d to %d", low, high)
			return
		}
		*dst = n
	}
}

// amount reads a number as money or another measured value.
func (in *input) amount(dst *event.Amount) read {
	return func(at string, v jsontext.Value) {
		if v.Kind() != '0' {
			in.add(at, "must be a number")
			return
		}
		a, err := event.ParseAmount(string(v))
		if err != nil {
			in.add(at, "%s", err)
			return
		}
		*dst = a
	}
}

func (in *input) time(dst *event.Time) read {
	return func(at string, v jsontext.Value) {
		t, reason := parseTime(v)
		if reason != "" {
			in.add(at, "%s", reason)
			return
		}
		*dst = t
	}
}

func parseTime(v jsontext.Value) (event.Time, string) {
	if v.Kind() != '"' {
		return event.Never, "must be a string with an RFC 3339 time, such as 2026-01-31T14:05:00Z"
	}
	return parseTimeText(unquote(v))
}

func parseTimeText(s string) (event.Time, string) {
	t := event.Never
	if s == "" {
		return t, "empty"
	}
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return event.Never, err.Error()
	}
	return t, ""
}

// finite returns nil for a number that is unknown: it becomes null, never 0.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// known returns nil for a time that is unknown.
func known(t event.Time) *event.Time {
	if t == event.Never {
		return nil
	}
	return &t
}

// number is an amount as a JSON number, with all its digits.
func number(a event.Amount) jsontext.Value { return jsontext.Value(a.String()) }
