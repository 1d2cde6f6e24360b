package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"churn/model"
)

// maxFile bounds what is read of a log or an alias file.
const maxFile = 64 << 20

// readFile reads a file of at most limit bytes beside the models of a name. A
// missing one is nil.
func readFile(root *os.Root, name, base string, limit int64) (full string, b []byte, err error) {
	if !model.NamePattern.MatchString(name) {
		return "", nil, fmt.Errorf("%w: %.80q", ErrNotFound, name)
	}
	f, err := root.OpenFile(name+"/"+base, os.O_RDONLY|syscall.O_NONBLOCK, 0) // see model.Load
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > limit) {
		err = fmt.Errorf("%s: not a regular file of at most %d bytes", f.Name(), limit)
	}
	if err != nil {
		return "", nil, err
	}
	b, err = io.ReadAll(io.LimitReader(f, limit))
	return f.Name(), b, err
}

// writeFile writes all of a file or nothing.
func writeFile(root *os.Root, name string, b []byte) error {
	f, err := createTemp(root, path.Dir(name))
	if err != nil {
		return err
	}
	temp := path.Join(path.Dir(name), path.Base(f.Name()))
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return syncDir(root, path.Dir(name))
}

// createTemp makes a file of the first free name. Files that a crash left are
// passed by.
func createTemp(root *os.Root, dir string) (*os.File, error) {
	for i := 0; ; i++ {
		f, err := root.OpenFile(fmt.Sprintf("%s/.tmp-%d", dir, i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
