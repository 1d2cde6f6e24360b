package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// server is churn serve, in this process or in one of its own.
type server struct {
	url    string
	lines  chan string // of standard output, after the one with the address
	stderr *bytes.Buffer
	stop   func() (code int) // SIGTERM, or what comes to the same
}

// serve starts churn serve in this process.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	s := &server{stderr: new(bytes.Buffer)}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), strings.NewReader(""), w, s.stderr)
		w.Close()
	}()
	stopped, result := false, 0
	s.stop = func() int {
		if !stopped {
			cancel()
			stopped, result = true, <-code
		}
		return result
	}
	t.Cleanup(func() { s.stop() })
	s.read(t, r)
	return s
}

// read waits for the address and hands on the lines after it.
func (s *server) read(t *testing.T, r io.Reader) {
	t.Helper()
	s.lines = make(chan string, 100)
	go func() {
		defer close(s.lines)
		for sc := bufio.NewScanner(r); sc.Scan(); {
			s.lines <- sc.Text()
		}
	}()
	line := s.line(t)
	rest, ok := strings.CutPrefix(line, "listening on ")
	if !ok {
		t.Fatalf("the first line is %q", line)
	}
	s.url, _, _ = strings.Cut(rest, " ")
}

func (s *server) line(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-s.lines:
		if !ok {
			t.Fatalf("the server ended, code %d: %s", s.stop(), s.stderr)
		}
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("the server says nothing")
		return ""
	}
}

// request sends a body, if there is one, and returns status and answer.
func request(method, url, body string, header ...string) (int, []byte, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, b, err
}

// expect is request where the status is known.
func (s *server) expect(t *testing.T, status int, method, path, body string, header ...string) []byte {
	t.Helper()
	got, b, err := request(method, s.url+path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, got, b, status)
	}
	return b
}

// version asks which version gives the scores.
func (s *server) version(t *testing.T) string {
	t.Helper()
	var score struct {
		Model struct {
			Version string `json:"version"`
		} `json:"model"`
	}
	b := s.expect(t, 200, "GET", "/v1/customers/C0000001/score", "")
	if err := json.Unmarshal(b, &score); err != nil {
		t.Fatal(err)
	}
	return score.Model.Version
}

func needProject(t *testing.T) *shared {
	t.Helper()
	p, err := sharedProject()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tryPrinted runs the commands that the server prints, as a user would.
func tryPrinted(t *testing.T, s *server, commands int) {
	t.Helper()
	if line := s.line(t); line != "try:" {
		t.Fatalf("printed %q", line)
	}
	for range commands {
		line := strings.TrimSpace(s.line(t))
		if !strings.HasPrefix(line, "curl ") {
			t.Fatalf("printed %q, which is no curl command", line)
		}
		out, err := exec.Command("bash", "-c", line).CombinedOutput()
		if err != nil || len(out) == 0 || bytes.Contains(out, []byte(`"status":4`)) || bytes.Contains(out, []byte(`"status":5`)) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// TestServe follows a server from its start over a promotion and a rollback,
// during which every request is answered, to its end.
func TestServe(t *testing.T) {
	p := needProject(t)
	project := p.copy(t)
	s := serve(t, "--config", project)
	tryPrinted(t, s, 3)
	s.expect(t, 200, "GET", "/livez", "")
	s.expect(t, 200, "GET", "/readyz", "")
	if v := s.version(t); v != p.v1 {
		t.Errorf("the server uses %s, the champion is %s", v, p.v1)
	}

	var failed, done atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	clients := make(chan struct{})
	go func() {
		defer close(clients)
		for ctx.Err() == nil {
			status, b, err := request("GET", s.url+"/v1/customers/C0000001/score?reasons=3", "")
			if err != nil || status != 200 {
				failed.Add(1)
				t.Errorf("while models are swapped: %d %s %v", status, b, err)
				return
			}
			done.Add(1)
		}
	}()
	swap := func(want string, args ...string) {
		t.Helper()
		if _, err := churn(append(args, "--config", project)...); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(3 * time.Second)
		for s.version(t) != want {
			if time.Now().After(deadline) {
				t.Fatalf("after 3 s %v did not reach the server", args)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	swap(p.v2, "models", "promote", p.v2, "--force", "--reason", "to try")
	swap(p.v1, "models", "rollback", "--reason", "tried")
	cancel()
	<-clients
	if done.Load() == 0 {
		t.Error("no request was made while models were swapped")
	}

	if code := s.stop(); code != exitOK {
		t.Errorf("stopped with code %d: %s", code, s.stderr)
	}
	if _, _, err := request("GET", s.url+"/livez", ""); err == nil {
		t.Error("the server still answers")
	}
	if strings.Contains(s.stderr.String(), "level=ERROR") {
		t.Errorf("it logged errors: %s", s.stderr)
	}
	// The promotion log was copied to the database: two by the project, and
	// the two from here.
	db := openDB(t, filepath.Join(filepath.Dir(project), "churn.db"))
	log, err := db.Promotions(context.Background(), "churn")
	if err != nil || len(log) != 4 {
		t.Fatalf("%d promotions in the database, want 4: %v", len(log), err)
	}
	if last := log[3]; last.From != p.v2 || last.To != p.v1 || last.Reason != "tried" {
		t.Errorf("the last is %+v", last)
	}
}

// within waits until ok, for as long as the server may take to follow.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 5 s: not %s", what)
		}
	}
}

// TestServeChallenger: a challenger comes and goes beside the champion, is told
// and counted, and answers nothing.
func TestServeChallenger(t *testing.T) {
	p := needProject(t)
	project := p.copy(t)
	s := serve(t, "--config", project, "--quiet")
	challenger := func() string {
		t.Helper()
		var a struct {
			Serving, Challenger *struct{ Version string }
		}
		if err := json.Unmarshal(s.expect(t, 200, "GET", "/v1/models", ""), &a); err != nil {
			t.Fatal(err)
		}
		if a.Serving == nil || a.Serving.Version != p.v1 || s.version(t) != p.v1 {
			t.Fatalf("%+v answers, the champion is %s", a.Serving, p.v1)
		}
		if a.Challenger == nil {
			return ""
		}
		return a.Challenger.Version
	}
	metrics := func() string { return string(s.expect(t, 200, "GET", "/metrics", "")) }
	if v := challenger(); v != "" {
		t.Errorf("challenger %s", v)
	}
	if _, err := churn("models", "promote", p.v2, "--alias", "challenger", "--config", project); err != nil {
		t.Fatal(err)
	}
	within(t, "the challenger", func() bool { return challenger() == p.v2 })
	s.version(t)
	within(t, "counted", func() bool {
		return regexp.MustCompile(`churn_challenger_predictions_total\{model_version="` + p.v2 + `",outcome="ok"\} [1-9]`).MatchString(metrics())
	})
	if _, err := churn("models", "retire", "--reason", "measured", "--config", project); err != nil {
		t.Fatal(err)
	}
	within(t, "retired", func() bool { return challenger() == "" })
	if text := metrics(); strings.Contains(text, "churn_challenger_info{") || !strings.Contains(text, "churn_challenger_load_failures_total 0") {
		t.Error("the metrics of a retired challenger:", text)
	}
	if code := s.stop(); code != exitOK || s.stderr.Len() > 0 {
		t.Errorf("stopped with code %d: %s", code, s.stderr)
	}
	db := openDB(t, filepath.Join(filepath.Dir(project), "churn.db"))
	log, err := db.Promotions(context.Background(), "churn")
	if err != nil || len(log) != 4 {
		t.Fatalf("%d promotions in the database, want 4: %v", len(log), err)
	}
	if last := log[3]; last.Alias != "challenger" || last.From != p.v2 || last.To != "" || last.Reason != "measured" {
		t.Errorf("the last is %+v", last)
	}

	// A share of 0 follows none, though there is one.
	if _, err := churn("models", "promote", p.v2, "--alias", "challenger", "--config", project); err != nil {
		t.Fatal(err)
	}
	if err := edit(project, "shadow_share: 1", "shadow_share: 0"); err != nil {
		t.Fatal(err)
	}
	s = serve(t, "--config", project, "--quiet")
	if v := challenger(); v != "" || strings.Contains(metrics(), "churn_challenger_load_failures_total") {
		t.Errorf("challenger %s", v)
	}
	s.stop()

	// One that predicts something else is scored, and warned of.
	if err := edit(project, "shadow_share: 0", "shadow_share: 1", "horizon: 30d", "horizon: 20d"); err != nil {
		t.Fatal(err)
	}
	out, err := churn("train", "--config", project, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	if _, err := churn("models", "promote", result.Version, "--alias", "challenger", "--config", project); err != nil {
		t.Fatal(err)
	}
	s = serve(t, "--config", project, "--quiet")
	if v := challenger(); v != result.Version {
		t.Errorf("challenger %s, want %s", v, result.Version)
	}
	s.stop()
	if text := s.stderr.String(); strings.Count(text, "the challenger predicts something else") != 1 || !strings.Contains(text, "within 20d") {
		t.Errorf("it said %q", text)
	}
}

// TestServeDamaged: with a damaged champion at the start the version before
// answers, the server says so, and the champion mended is taken up. A damaged
// challenger is no matter of readiness.
func TestServeDamaged(t *testing.T) {
	p := needProject(t)
	project := p.copy(t)
	if _, err := churn("models", "promote", p.v1, "--alias", "challenger", "--config", project); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(project), "models", "churn", p.v1+".churn")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(path, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--config", project, "--quiet")
	if v := s.version(t); v != p.v2 {
		t.Errorf("the server uses %s, the version before is %s", v, p.v2)
	}
	if text := string(s.expect(t, 200, "GET", "/readyz", "")); !strings.Contains(text, `"degraded"`) {
		t.Error(text)
	}
	if text := string(s.expect(t, 200, "GET", "/metrics", "")); !strings.Contains(text, "\nchurn_model_load_failures_total 1\n") || !strings.Contains(text, "\nchurn_challenger_load_failures_total 1\n") {
		t.Error(text)
	}
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	within(t, "mended", func() bool { return s.version(t) == p.v1 })
	if text := string(s.expect(t, 200, "GET", "/readyz", "")); !strings.Contains(text, `"ready"`) {
		t.Error(text)
	}
	if code := s.stop(); code != exitOK {
		t.Errorf("stopped with code %d", code)
	}
	for _, want := range []string{"the champion cannot be loaded, serving an earlier version", "the challenger cannot be loaded", p.v2} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("it did not say %q: %s", want, s.stderr)
		}
	}
}

// TestServeWithoutModel: it starts, says so, takes events, and is ready once a
// model is promoted.
func TestServeWithoutModel(t *testing.T) {
	p := needProject(t)
	dir := t.TempDir()
	models := filepath.Join(dir, "models")
	s := serve(t, "--db", filepath.Join(dir, "churn.db"), "--models", models)
	if line := s.line(t); line != "no model is in use: train and promote one" {
		t.Errorf("printed %q", line)
	}
	s.expect(t, 200, "GET", "/livez", "")
	s.expect(t, 503, "GET", "/readyz", "")
	s.expect(t, 200, "POST", "/v1/events", `{"events":[{"type":"payment","event_id":"p1","customer_id":"C0000001","paid_at":"2024-01-01T00:00:00Z","amount":5}]}`)
	s.expect(t, 503, "GET", "/v1/customers/C0000001/score", "")

	if err := os.CopyFS(models, os.DirFS(filepath.Join(p.dir, "models"))); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(3 * time.Second)
	for status := 0; status != 200; {
		if time.Now().After(deadline) {
			t.Fatal("after 3 s the server is not ready")
		}
		time.Sleep(20 * time.Millisecond)
		var err error
		if status, _, err = request("GET", s.url+"/readyz", ""); err != nil {
			t.Fatal(err)
		}
	}
	if v := s.version(t); v != p.v1 {
		t.Errorf("the server uses %s, the champion is %s", v, p.v1)
	}
	if code := s.stop(); code != exitOK {
		t.Errorf("stopped with code %d: %s", code, s.stderr)
	}
}

// TestServeTable serves a model of a wide table.
func TestServeTable(t *testing.T) {
	dir := t.TempDir()
	project := filepath.Join(dir, "churn.yaml")
	if err := os.WriteFile(project, []byte("model: telco\ntraining: {rungs: [logistic], replicates: 50}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../../testdata/telco/wa_churn.csv")
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(dir, "table.csv")
	if err := os.WriteFile(table, bytes.Join(bytes.SplitAfter(b, []byte("\n"))[:1201], nil), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := churn("train", "--config", project, "--table", table, "--label", "churn=Yes", "--promote"); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--config", project, "--quiet")
	tryPrinted(t, s, 2)
	s.expect(t, 200, "GET", "/readyz", "")
	if code := s.stop(); code != exitOK || s.stderr.Len() > 0 {
		t.Errorf("stopped with code %d: %s", code, s.stderr)
	}
}

// TestServeKeys: keys of the project file are asked for.
func TestServeKeys(t *testing.T) {
	project := filepath.Join(t.TempDir(), "churn.yaml")
	// printf %s ck_crm_s3cret | sha256sum (GNU coreutils 9.1)
	text := `server: {keys: [{id: crm, sha256: HASH, scopes: [read]}]}`
	hash, err := exec.Command("bash", "-c", `printf %s ck_crm_s3cret | sha256sum | cut -c1-64 | tr -d '\n'`).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(project, []byte(strings.Replace(text, "HASH", string(hash), 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--config", project)
	s.expect(t, 401, "GET", "/v1/models", "")
	s.expect(t, 401, "GET", "/v1/models", "", "Authorization", "Bearer ck_crm_guess")
	s.expect(t, 200, "GET", "/v1/models", "", "Authorization", "Bearer ck_crm_s3cret")
	s.expect(t, 403, "POST", "/v1/models/rollback", `{}`, "Authorization", "Bearer ck_crm_s3cret")
}

// spawn starts churn serve as a process of its own.
func spawn(t *testing.T, args ...string) (*server, *os.Process) {
	t.Helper()
	cmd := exec.Command("churn", append([]string{"serve", "--listen", "127.0.0.1:0", "--quiet"}, args...)...)
	s := &server{stderr: new(bytes.Buffer)}
	cmd.Stderr = s.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := false
	s.stop = func() int {
		if !waited {
			waited = true
			cmd.Process.Signal(syscall.SIGTERM)
			for range s.lines {
			}
			cmd.Wait()
		}
		return cmd.ProcessState.ExitCode()
	}
	t.Cleanup(func() { cmd.Process.Kill(); s.stop() })
	s.read(t, out)
	return s, cmd.Process
}

// TestServeSignal: SIGTERM drains, and the program exits with 0.
func TestServeSignal(t *testing.T) {
	dir := t.TempDir()
	s, _ := spawn(t, "--db", filepath.Join(dir, "churn.db"), "--models", filepath.Join(dir, "models"))
	s.expect(t, 200, "GET", "/livez", "")
	if code := s.stop(); code != exitOK {
		t.Errorf("exit code %d: %s", code, s.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "churn.db-wal")); err == nil {
		t.Error("the log was not carried over into the database")
	}
}
