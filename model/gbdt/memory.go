package gbdt

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"churn/model/gbdt/internal/kernel"
)

// Memory estimates the bytes Train allocates for a table of so many rows and
// features, beside the table itself. It supposes that all features have many
// values, which makes it an upper bound for tables without target statistics.
func (p *Params) Memory(rows, features int) int64 {
	n, f := int64(rows), int64(features)
	const perRow = 8 /* packed */ + 2*4 /* row numbers */ + 4 /* sign */ + 8 /* score */ + 2*4 /* derivatives */ + 2 /* leaf */
	workers := int64(max(p.Workers, 1))
	tiles := max((f+kernel.TileWidth-1)/kernel.TileWidth, min(workers, f/(kernel.TileWidth/2)))
	columns := n * (f + tiles*kernel.TileWidth)
	histograms := (int64(p.mostLeaves()) + workers) * tiles * kernel.TileWidth * kernel.Stride * 8
	sample := min(n, sampleRows) * workers * (min(f, line)*4 + 2*4 /* sorting */ + 8 /* runs */)
	return n*perRow + columns + histograms + sample + f<<12 /* bounds and the like */ + 1<<20
}

// checkMemory returns an error if training would need more memory than
// allowed, or than there is.
func checkMemory(p *Params, d *Dataset) error {
	limit, source := p.MemoryLimit, "MemoryLimit allows"
	if limit < 0 {
		return nil
	}
	if limit == 0 {
		if limit = availableMemory(); limit == 0 {
			return nil
		}
		source = "the machine has available"
	}
	need := p.Memory(d.Rows(), len(d.Names))
	for f := range d.Names {
		if len(d.Categorical) != 0 && d.Categorical[f] {
			need += int64(d.Rows()) * int64(p.TargetOrders+1) * (4 + 2 + kernel.TileWidth/16)
		}
	}
	if need > limit {
		return fmt.Errorf("training on %d rows of %d features needs about %d MB and %s %d MB: use fewer rows or features, or raise MemoryLimit",
			d.Rows(), len(d.Names), need>>20, source, limit>>20)
	}
	return nil
}

// availableMemory is what Linux says can be allocated without swapping, or
// what the control group has left if that is less; 0 if unknown.
func availableMemory() int64 {
	available := field("/proc/meminfo", "MemAvailable:") << 10
	const group = "/sys/fs/cgroup/"
	limit := field(group+"memory.max", "")
	if limit == 0 {
		return available
	}
	// Cached files are given up when memory is asked for.
	used := field(group+"memory.current", "") - field(group+"memory.stat", "file")
	if left := max(limit-used, 1); available == 0 || left < available {
		return left
	}
	return available
}

// field returns the number that follows name, or starts the file if name is
// empty; 0 if there is none.
func field(file, name string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if name != "" && len(words) > 0 && words[0] == name {
			words = words[1:]
		} else if name != "" {
			continue
		}
		if len(words) > 0 {
			n, _ := strconv.ParseInt(words[0], 10, 64) // "max" is no limit
			return n
		}
	}
	return 0
}
