package registry

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"churn/model"
)

// ErrSignature: the model file has no valid signature of a trusted key.
var ErrSignature = errors.New("no valid signature of a trusted key")

// Key is a public key whose signatures are trusted. Its ID stands beside each
// signature, so that a file can have several and a key be replaced in peace.
type Key struct {
	ID     string
	Public ed25519.PublicKey
}

// KeyPattern is what a key may be called.
var KeyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Limits of a file of signatures.
const (
	signatureExtension = ".sig"
	maxSignatures      = 64
	maxSignatureBytes  = 16 << 10
)

// A signature is one line of the file beside a model: the id of the key and,
// in base64, the Ed25519 signature of all bytes of the model file.
type signature struct {
	id   string
	sign []byte
}

// parseSignatures reads lines "id base64". A key signs once, so that checking
// takes no longer than the trusted keys are many.
func parseSignatures(path string, b []byte) ([]signature, error) {
	if len(b) > maxSignatureBytes {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", path, ErrSignature, maxSignatureBytes)
	}
	var list []signature
	for line := range bytes.Lines(b) {
		id, text, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		sign, err := base64.StdEncoding.Strict().DecodeString(text)
		switch {
		case len(list) == maxSignatures:
			return nil, fmt.Errorf("%s: %w: more than %d signatures", path, ErrSignature, maxSignatures)
		case !KeyPattern.MatchString(id) || err != nil || len(sign) != ed25519.SignatureSize ||
			len(text) != base64.StdEncoding.EncodedLen(len(sign)): // the decoder passes over line ends
			return nil, fmt.Errorf("%s:%d: %w: not the id of a key, a blank and %d bytes in base64; remove the file and sign again",
				path, len(list)+1, ErrSignature, ed25519.SignatureSize)
		case slices.ContainsFunc(list, func(s signature) bool { return s.id == id }):
			return nil, fmt.Errorf("%s:%d: %w: key %s occurs twice; remove a line", path, len(list)+1, ErrSignature, id)
		}
		list = append(list, signature{id, sign})
	}
	return list, nil
}

// signers returns which trusted keys signed the file, given its signatures; if
// none did the error says why not.
func signers(file []byte, list []signature, trusted []Key) ([]string, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: it is not signed; sign it with churn models sign", ErrSignature)
	}
	var good, wrong, unknown []string
	for _, s := range list {
		i := slices.IndexFunc(trusted, func(k Key) bool { return k.ID == s.id })
		switch {
		case i < 0:
			unknown = append(unknown, s.id)
		case ed25519.Verify(trusted[i].Public, file, s.sign):
			good = append(good, s.id)
		default:
			wrong = append(wrong, s.id)
		}
	}
	switch {
	case len(good) > 0:
		return good, nil
	case len(wrong) > 0:
		return nil, fmt.Errorf("%w: the signature of %s is not of this file and key: one of the three was changed",
			ErrSignature, strings.Join(wrong, ", "))
	}
	return nil, fmt.Errorf("%w: signed by %s only, which the project file does not trust", ErrSignature, strings.Join(unknown, ", "))
}

// readSignatures reads the signatures beside a model; none is no error.
func readSignatures(root *os.Root, name, version string) ([]signature, error) {
	path, b, err := readFile(root, name, version+extension+signatureExtension, maxSignatureBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return parseSignatures(path, b)
}

// Signers returns the trusted keys that signed a version, for an operator who
// asks; an alias may stand for it. Every other method looks by itself.
func (r *Registry) Signers(name, version string) ([]string, error) {
	version, err := r.Resolve(name, version)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	path, b, err := readModel(root, name, version)
	if err != nil {
		return nil, err
	}
	return signedBy(root, path, name, version, b, r.trusted)
}

// signedBy checks the bytes of a version against the signatures beside it.
func signedBy(root *os.Root, path, name, version string, b []byte, trusted []Key) ([]string, error) {
	list, err := readSignatures(root, name, version)
	if err != nil {
		return nil, err
	}
	ids, err := signers(b, list, trusted)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ids, nil
}

// Sign writes the signature of a key beside a version, in place of one that
// the key made before. The signatures of other keys stay.
func (r *Registry) Sign(name, version, id string, private ed25519.PrivateKey) error {
	if !KeyPattern.MatchString(id) {
		return fmt.Errorf("key %.80q: use letters, digits, '.', '_', '-', at most 64", id)
	}
	version, err := r.Resolve(name, version)
	if err != nil {
		return err
	}
	return r.locked(name, func(root *os.Root) error {
		path, b, err := readModel(root, name, version)
		if err != nil {
			return err
		}
		// What is signed must be sound, and be what it is filed as.
		if _, err := parse(path, b, name, version); err != nil {
			return err
		}
		list, err := readSignatures(root, name, version)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(s signature) bool { return s.id == id })
		if len(list) == maxSignatures {
			return fmt.Errorf("%s %s has %d signatures already; remove some", name, version, maxSignatures)
		}
		var text strings.Builder
		for _, s := range append(list, signature{id, ed25519.Sign(private, b)}) {
			fmt.Fprintf(&text, "%s %s\n", s.id, base64.StdEncoding.EncodeToString(s.sign))
		}
		return writeFile(root, name+"/"+version+extension+signatureExtension, []byte(text.String()))
	})
}

// VerifyFile returns the trusted keys that signed the model file at path, by
// the signatures in the file at signatures. It is for files outside of any
// registry.
func VerifyFile(path, signatures string, trusted []Key) ([]string, error) {
	b, err := readLoose(path)
	if err != nil {
		return nil, err
	}
	text, err := readLoose(signatures)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list, err := parseSignatures(signatures, text)
	if err != nil {
		return nil, err
	}
	ids, err := signers(b, list, trusted)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ids, nil
}

func readLoose(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // see model.Load
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return model.ReadBytes(f)
}
