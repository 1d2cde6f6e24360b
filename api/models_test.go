package api

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"churn/model"
)

func TestModels(t *testing.T) {
	w := newWorld(t, withModels(2))
	refused := testModel(t, 0.9)
	refused.Manifest.Gate = model.Gate{Passed: false, Reasons: []string{"auc 0.60 below the rule's 0.74", "drift"}}
	w.put(refused)

	var a modelsAnswer
	w.call(200, "GET", "/v1/models", "", &a)
	if len(a.Models) != 3 || a.Serving.Version != w.versions[0] || a.Unreadable {
		t.Fatalf("%+v", a)
	}
	for _, m := range a.Models {
		if m.Serving != (m.Version == w.versions[0]) || m.Metrics["auc"] != 0.81 || *m.HorizonDays != 30 {
			t.Errorf("%+v", m)
		}
	}

	var p promotionAnswer
	w.call(200, "POST", "/v1/models/"+w.versions[1]+"/promote", `{"reason":"better","actor":"eve"}`, &p)
	if p.Serving.Version != w.versions[1] || p.Promotion.From != w.versions[0] || p.Promotion.Actor != "eve" {
		t.Errorf("%+v", p)
	}
	if v := w.serves(); v != w.versions[1] {
		t.Errorf("%s answers", v)
	}
	var problem Problem
	w.call(409, "POST", "/v1/models/"+w.versions[2]+"/promote", `{"reason":"hope"}`, &problem)
	if problem.Type != "/docs#gate-refused" || len(problem.Errors) != 2 || problem.Errors[1].Detail != "drift" {
		t.Errorf("%+v", problem)
	}
	if v := w.serves(); v != w.versions[1] {
		t.Errorf("%s answers", v)
	}
	w.call(200, "POST", "/v1/models/"+w.versions[2]+"/promote", `{"reason":"told to","force":true}`, &p)
	if !p.Promotion.Forced || w.serves() != w.versions[2] {
		t.Errorf("%+v", p)
	}
	for _, want := range []string{w.versions[1], w.versions[0]} {
		w.call(200, "POST", "/v1/models/rollback", `{"reason":"worse"}`, &p)
		if p.Promotion.To != want || w.serves() != want {
			t.Errorf("rolled back to %s, want %s", p.Promotion.To, want)
		}
	}
	w.call(409, "POST", "/v1/models/rollback", `{"reason":"further"}`, nil)
	w.call(404, "POST", "/v1/models/20260601-000000000000/promote", `{"reason":"x"}`, nil)
	w.call(404, "POST", "/v1/models/..%2F..%2Fetc/promote", `{"reason":"x"}`, nil)
	w.call(400, "POST", "/v1/models/rollback", `{}`, nil)
	w.call(422, "POST", "/v1/models/rollback", `{"reason":" "}`, nil)
	w.call(400, "POST", "/v1/models/rollback", `{"reason":"x","force":true}`, nil)

	log, err := w.store.Promotions(context.Background(), "test")
	if err != nil || len(log) != 5 {
		t.Errorf("%d promotions in the store, %v", len(log), err)
	}
}

// serves is the version that answers a request.
func (w *world) serves() string {
	w.t.Helper()
	var a rows
	w.call(200, "POST", "/v1/scores", `{"customers":[{"customer_id":"x","features":{"eng_n_30":1}}]}`, &a)
	return a.Results[0].Model.Version
}

// TestDamagedModel: a file that cannot be read is not promoted, and one that
// is damaged after its promotion leaves the former model answering.
func TestDamagedModel(t *testing.T) {
	w := newWorld(t, withModels(2))
	path := filepath.Join(w.registry.Dir(), "test", w.versions[1]+".churn")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	var p Problem
	text := w.call(409, "POST", "/v1/models/"+w.versions[1]+"/promote", `{"reason":"x"}`, &p)
	if strings.Contains(text, w.registry.Dir()) {
		t.Errorf("tells a path: %s", text)
	}
	var a modelsAnswer
	w.call(200, "GET", "/v1/models", "", &a)
	if len(a.Models) != 1 || !a.Unreadable {
		t.Errorf("%+v", a)
	}
	// Damaged behind the registry's back.
	if err := os.WriteFile(filepath.Join(w.registry.Dir(), "test", "aliases.json"), fmt.Appendf(nil, `{"champion":%q}`, w.versions[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := w.live.Reload(); err == nil {
		t.Fatal("a damaged file was loaded")
	}
	var r readiness
	text = w.call(200, "GET", "/readyz", "", &r)
	if r.Status != "degraded" || r.Model.Version != w.versions[0] || strings.Contains(text, w.registry.Dir()) {
		t.Errorf("%s", text)
	}
	if w.serves() != w.versions[0] || w.scrape()["churn_model_load_failures_total"] != 1 {
		t.Errorf("metrics %v", w.scrape())
	}
}

// TestHotReload: while versions change, every answer names one and was
// computed by it.
func TestHotReload(t *testing.T) {
	w := newWorld(t, withModels(3))
	offset := map[string]float64{}
	for i, v := range w.versions {
		offset[v] = float64(i) / 10
	}
	body := []byte(`{"customers":[{"customer_id":"a","features":{"eng_n_30":1}},{"customer_id":"b","features":{"eng_n_30":7}},{"customer_id":"c","features":{"eng_n_30":9}}]}`)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				rec := w.request("POST", "/v1/scores", "application/json", body)
				var a rows
				if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil || rec.Code != 200 {
					t.Errorf("%d %v", rec.Code, err)
					return
				}
				for _, r := range a.Results {
					want := model.Sigmoid(1.2*r.Margin + offset[r.Model.Version])
					if r.Model != a.Model || math.Abs(r.ChurnProbability-want) > 1e-12 {
						t.Errorf("%s answers %v, its calibration gives %v", r.Model.Version, r.ChurnProbability, want)
						return
					}
				}
			}
		})
	}
	for i := range 12 {
		rec := w.request("POST", "/v1/models/"+w.versions[i%3]+"/promote", "application/json", []byte(`{"reason":"turn"}`))
		if rec.Code != 200 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	close(stop)
	wg.Wait()
}
