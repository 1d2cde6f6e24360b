package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"churn/model/registry"
)

// trustedKey is a public key of the project file.
type trustedKey struct {
	ID string `yaml:"id"`
	// Public is the key as openssl has it between the lines of a PEM file, or
	// the path of that file.
	Public string `yaml:"public"`
}

// checkTrusted checks what can be checked without reading files.
func checkTrusted(keys []trustedKey) error {
	for i, k := range keys {
		switch {
		case !registry.KeyPattern.MatchString(k.ID):
			return fmt.Errorf("trusted_keys[%d]: id %q: use letters, digits, '.', '_', '-', at most 64", i, k.ID)
		case k.Public == "":
			return fmt.Errorf("trusted_keys[%d]: public is missing: the line that churn models keygen printed", i)
		case slices.ContainsFunc(keys[:i], func(o trustedKey) bool { return o.ID == k.ID }):
			return fmt.Errorf("trusted_keys[%d]: id %q occurs twice", i, k.ID)
		}
	}
	return nil
}

// trusted reads the trusted keys.
func (c *config) trusted() ([]registry.Key, error) {
	var keys []registry.Key
	for i, k := range c.TrustedKeys {
		public, err := c.publicKey(k.Public)
		if err != nil {
			return nil, usagef("trusted_keys[%d]: public: %w", i, err)
		}
		keys = append(keys, registry.Key{ID: k.ID, Public: public})
	}
	return keys, nil
}

// publicKey takes base64, or the path of a PEM file.
func (c *config) publicKey(text string) (ed25519.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(der) != 44 {
		path := c.path(text)
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("neither a key in base64 nor a file: %w", err)
		}
		block, _ := pem.Decode(b)
		if block == nil || block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("%s: not a public key in PEM (openssl pkey -in key.pem -pubout)", path)
		}
		der = block.Bytes
	}
	k, err := x509.ParsePKIXPublicKey(der)
	if public, ok := k.(ed25519.PublicKey); err == nil && ok {
		return public, nil
	}
	return nil, errors.Join(errors.New("not an Ed25519 key"), err)
}

// publicText is the key as the project file has it.
func publicText(public ed25519.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	return base64.StdEncoding.EncodeToString(der), err
}

// privateKey reads a key as openssl genpkey -algorithm ed25519 makes it.
func privateKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s: not a private key in PEM, without a password; churn models keygen makes one", path)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if private, ok := k.(ed25519.PrivateKey); err == nil && ok {
		return private, nil
	}
	return nil, errors.Join(fmt.Errorf("%s: not an Ed25519 key; churn models keygen makes one", path), err)
}

// signer is a private key and the id its signatures carry.
type signer struct {
	id      string
	private ed25519.PrivateKey
}

// signer reads a private key. Its id is that of the public half among the
// trusted keys: any other signature would be of no use.
func (c *config) signer(path string) (*signer, error) {
	private, err := privateKey(path)
	if err != nil {
		return nil, err
	}
	keys, err := c.trusted()
	if err != nil {
		return nil, err
	}
	public := private.Public().(ed25519.PublicKey)
	for _, k := range keys {
		if k.Public.Equal(public) {
			return &signer{k.ID, private}, nil
		}
	}
	text, err := publicText(public)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s is not the key of any of the project file's trusted_keys; add {id: …, public: %s}", path, text)
}

func (a *app) keygenCommand() *cobra.Command {
	var out, id string
	cmd := &cobra.Command{Use: "keygen", Short: "Make a key to sign models with",
		Long: `Keygen writes a private key that only its owner can read, and prints the line
for the project file with which its signatures are trusted. From the first
trusted key on, a model that none of them signed is not taken into use.`,
		Example: `  churn models keygen --out ops-2026.pem --id ops-2026`, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.keygen(out, id) }}
	cmd.Flags().StringVar(&out, "out", "", "file to write; one that is there is not touched")
	cmd.Flags().StringVar(&id, "id", "", "name of the key in the project file, such as ops-2026")
	return cmd
}

func (a *app) keygen(out, id string) error {
	if out == "" || !registry.KeyPattern.MatchString(id) {
		return usagef("keygen needs --out FILE and --id with letters, digits, '.', '_', '-', at most 64")
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	text, err := publicText(public)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%w (a key is never overwritten)", err)
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(out))
	}
	if a.json {
		return writeJSON(a.stdout, map[string]any{"path": out, "id": id, "public": text})
	}
	_, err = fmt.Fprintf(a.stdout, "trusted_keys:\n  - {id: %q, public: %s}\n", id, text)
	return err
}

func (a *app) signCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{Use: "sign VERSION", Short: "Sign a stored model",
		Long: `Sign writes a signature beside a stored model file, which itself is not changed.
The public half of the key must be among the trusted_keys of the project file.`,
		Example: `  churn models sign 20171231-0123456789ab --key ops-2026.pem`, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.sign(args[0], key) }}
	cmd.Flags().StringVar(&key, "key", "", "private key (PEM)")
	return cmd
}

func (a *app) sign(version, key string) error {
	if key == "" {
		return usagef("sign needs --key FILE; churn models keygen makes one")
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	s, err := c.signer(key)
	if err != nil {
		return err
	}
	reg, err := a.openRegistry(c)
	if err != nil {
		return err
	}
	if err := reg.Sign(c.Model, version, s.id, s.private); err != nil {
		return err
	}
	return a.tellSigners(reg, c, version)
}

func (a *app) verifyCommand() *cobra.Command {
	var file, signatures string
	cmd := &cobra.Command{Use: "verify [VERSION]", Short: "Check the signatures of a model",
		Long: `Verify tells which of the project file's trusted keys signed a stored model, the
champion unless another is named, or with --file a model file anywhere. If none
did it fails.`,
		Example: `  churn models verify champion
  churn models verify --file model.churn --signatures model.churn.sig`, Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if file != "" && len(args) > 0 || file == "" && signatures != "" {
				return usagef("verify takes VERSION, or --file and --signatures")
			}
			return a.verify(append(args, registry.Champion)[0], file, signatures)
		}}
	cmd.Flags().StringVar(&file, "file", "", "model file outside of the registry")
	cmd.Flags().StringVar(&signatures, "signatures", "", "its signatures (default: the name of the file and .sig)")
	return cmd
}

func (a *app) verify(version, file, signatures string) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	keys, err := c.trusted()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return usagef("the project file has no trusted_keys: there is nothing to check against")
	}
	if file == "" {
		reg, err := a.openRegistry(c)
		if err != nil {
			return err
		}
		return a.tellSigners(reg, c, version)
	}
	if signatures == "" {
		signatures = file + ".sig"
	}
	ids, err := registry.VerifyFile(file, signatures, keys)
	if err != nil {
		return err
	}
	return a.tellSigned(file, ids)
}

// tellSigners checks a stored model and tells who signed it.
func (a *app) tellSigners(reg *registry.Registry, c *config, version string) error {
	ids, err := reg.Signers(c.Model, version)
	if err != nil {
		return err
	}
	return a.tellSigned(version, ids)
}

func (a *app) tellSigned(what string, ids []string) error {
	if a.json {
		return writeJSON(a.stdout, map[string]any{"model": what, "signed_by": ids})
	}
	_, err := fmt.Fprintf(a.stdout, "%s: signed by %s\n", what, strings.Join(ids, ", "))
	return err
}
