package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far long work is, on a terminal only.
type progress struct {
	w     io.Writer // nil shows nothing
	bar   *progressbar.ProgressBar
	stage string
}

func (a *app) progress() *progress {
	f, ok := a.stderr.(*os.File)
	if !ok || a.quiet || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	return &progress{w: f}
}

// show moves to done of total in a stage; a total of 0 is unknown.
func (p *progress) show(stage string, done, total int) {
	if p.w == nil {
		return
	}
	if stage != p.stage {
		p.finish()
		n := int64(total)
		if total == 0 {
			n = -1
		}
		p.stage = stage
		options := []progressbar.Option{progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(stage),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30)}
		if done > 0 || total > 0 { // else there is nothing to count
			options = append(options, progressbar.OptionShowCount())
		}
		p.bar = progressbar.NewOptions64(n, options...)
	}
	// A bar that cannot be drawn must not stop the work.
	_ = p.bar.Set(done)
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar, p.stage = nil, ""
	}
}
