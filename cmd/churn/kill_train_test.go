package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A training that is killed at any moment goes on from the fits that were
// finished: called again it gives the file of an undisturbed training, to the
// byte, and leaves nothing else behind.
func TestKillTrain(t *testing.T) {
	dir := t.TempDir()
	table, err := os.ReadFile(filepath.Join("..", "..", "testdata", "telco", "wa_churn.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfterN(table, []byte("\n"), 1602) // small, for CI
	if err := os.WriteFile(filepath.Join(dir, "telco.csv"), bytes.Join(lines[:1601], nil), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "churn.yaml"), []byte("training: {rungs: [logistic, boosting], replicates: 50, checks: quick}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	train := func(models string) *exec.Cmd {
		cmd := exec.Command("churn", "train", "--table", "telco.csv", "--label", "churn=Yes",
			"--drop", "female,partner,dependents,phone_service,multiple_lines,online_backup,device_protection,streaming_tv,streaming_movies,total_charges", "--promote", "--models", models)
		cmd.Dir = dir
		return cmd
	}
	start := time.Now()
	if out, err := train("want").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(start)
	name, want := onlyModel(t, filepath.Join(dir, "want"))

	const seed = 3
	r := rand.New(rand.NewPCG(seed, 1)) // what is under way at a moment differs with the machine
	finished := func(models string) {
		t.Helper()
		if out, err := train(models).CombinedOutput(); err != nil {
			t.Fatalf("training again: %v\n%s", err, out)
		}
		if again, got := onlyModel(t, models); again != name || !bytes.Equal(got, want) {
			t.Errorf("%s of %d bytes differs from %s of %d bytes, made undisturbed", again, len(got), name, len(want))
		}
		if _, err := os.Stat(filepath.Join(models, ".unfinished", "churn")); !os.IsNotExist(err) {
			t.Errorf("fits are left behind: %v", err)
		}
	}
	chain, resumed := 0, 0
	models := func() string { return filepath.Join(dir, fmt.Sprint("models", chain)) }
	for range killCycles(t) {
		cmd := train(models())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Int64N(int64(took))))
		cmd.Process.Kill()
		cmd.Wait()
		if len(glob(t, models(), ".unfinished", "churn", "*.fit")) > 0 {
			resumed++
		}
		if len(glob(t, models(), "churn", "*.churn")) > 0 { // the next kills begin anew
			finished(models())
			chain++
		}
	}
	if resumed == 0 { // the moments were unlucky: wait for one
		cmd := train(models())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); resumed == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			resumed = len(glob(t, models(), ".unfinished", "churn", "*.fit"))
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	if resumed == 0 {
		t.Fatal("no fit was finished before a kill: the test shows nothing")
	}
	finished(models())
	t.Logf("%d kills in %d trainings of %s; %d left fits to go on from", killCycles(t), chain+1, took.Round(time.Millisecond), resumed)
}

func glob(t *testing.T, path ...string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// onlyModel reads the one model of a registry. What a kill may leave beside it are
// temporary files, which are documented.
func onlyModel(t *testing.T, models string) (string, []byte) {
	t.Helper()
	paths := glob(t, models, "churn", "*.churn")
	if len(paths) != 1 {
		t.Fatalf("%d models in %s", len(paths), models)
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(paths[0]), content
}
