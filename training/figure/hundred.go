package figure

import (
	"fmt"
	"html"
	"strings"
)

// Hundred draws a hundred people, so many of them filled: a share that can be
// counted. More than a hundred are a hundred, less than none are none.
func Hundred(title string, filled int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="100%%" style="max-width:9rem;height:auto" role="img" aria-label="%s" stroke-linecap="round" stroke-width="7">`,
		html.EscapeString(printable(title)))
	for _, part := range []struct {
		from, to int
		colour   string
	}{{0, min(max(filled, 0), 100), "#b34500"}, {min(max(filled, 0), 100), 100, "#d0d5db"}} {
		if part.from == part.to {
			continue
		}
		fmt.Fprintf(&b, `<path stroke="%s" d="`, part.colour)
		for i := part.from; i < part.to; i++ {
			fmt.Fprintf(&b, "M%d,%dh0", 5+10*(i%10), 5+10*(i/10))
		}
		b.WriteString(`"/>`)
	}
	b.WriteString("</svg>")
	return b.String()
}
