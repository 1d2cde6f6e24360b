package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:embed openapi.json
var openAPI []byte

//go:embed docs.html
var docsHTML string

// docsPage is what the page shows.
type docsPage struct {
	Title, Version, Description string
	Operations                  []docsOperation
	Problems                    []docsProblem
}

type docsOperation struct {
	Method, Path, Summary, Description, Scope string
}

type docsProblem struct {
	Name, Title string
	Status      int
}

// renderDocs makes the page once, from the OpenAPI document.
func (s *Server) renderDocs() error {
	var doc struct {
		Info struct {
			Title       string `json:"title"`
			Version     string `json:"version"`
			Description string `json:"description"`
		} `json:"info"`
		Paths jsontext.Value `json:"paths"`
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		return fmt.Errorf("openapi.json: %w", err)
	}
	page := docsPage{Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description}
	var in input // splits objects and keeps their order
	paths, _ := in.members("/paths", doc.Paths)
	for _, p := range paths {
		operations, _ := in.members(pointer("/paths", p.name), p.value)
		for _, o := range operations {
			var op struct {
				Summary     string `json:"summary"`
				Description string `json:"description"`
				Scope       string `json:"x-scope"`
			}
			if o.name == "parameters" {
				continue
			}
			if err := json.Unmarshal(o.value, &op); err != nil {
				return fmt.Errorf("openapi.json: %s %s: %w", o.name, p.name, err)
			}
			page.Operations = append(page.Operations, docsOperation{strings.ToUpper(o.name), p.name, op.Summary, op.Description, op.Scope})
		}
	}
	if err := in.fault(internal); err != nil {
		return err
	}
	for _, k := range kinds {
		page.Problems = append(page.Problems, docsProblem{k.name, k.title, k.status})
	}
	t, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return fmt.Errorf("docs.html: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, page); err != nil {
		return fmt.Errorf("docs.html: %w", err)
	}
	s.docs = b.Bytes()
	// The page may use its own style and nothing else.
	_, style, _ := strings.Cut(docsHTML, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	s.docsCSP = "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	return nil
}

func (s *Server) getDocs(c *gin.Context) {
	c.Header("Content-Security-Policy", s.docsCSP)
	c.Data(http.StatusOK, "text/html; charset=utf-8", s.docs)
}

func (s *Server) getOpenAPI(c *gin.Context) {
	c.Data(http.StatusOK, "application/json", openAPI)
}
