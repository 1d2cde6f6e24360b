# What a person types. Each target is a line or two that could be typed by hand.

GO ?= go
PYTHON ?= python3
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
RUN = testdata/complete_journey/churn.yaml

.PHONY: build run test lint bench fuzz .venv conformance oracle ablation bench-train bench-score bench-features bench-accuracy browser clean

build:            ## bin/churn
	$(GO) build -trimpath -o bin/churn ./cmd/churn

run: build        ## import the bundled real data, train, promote, serve
	mkdir -p run
	bin/churn import --config $(RUN)
	bin/churn train --config $(RUN) --promote --report run/report
	bin/churn serve --config $(RUN) --quiet

test:             ## every test
	$(GO) test -timeout 20m ./...

lint:             ## gofmt, vet, staticcheck
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not gofmt'ed:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

bench:            ## Go benchmarks, six times each, for benchstat
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./...

fuzz:             ## every fuzz target for half a minute
	@set -e; for target in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$target); do \
	    echo "$$name in $$(dirname $$target)"; \
	    $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $${FUZZTIME:-30s} ./$$(dirname $$target); \
	  done; done

# The last step of making .venv is the copy of the list it was made from.
.venv: .venv/requirements.txt ## other people's gradient boosting and DuckDB, pinned

.venv/requirements.txt: model/gbdt/peers/requirements.txt
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --quiet --requirement $<
	cp $< $@

conformance: .venv ## model/gbdt against LightGBM, XGBoost and shap
	.venv/bin/python model/gbdt/peers/conformance.py

oracle: .venv build ## features against DuckDB, matrices and scores in pandas
	.venv/bin/python features/oracle/oracle.py bin/churn

ablation: build   ## what each family adds, on worlds and real data; FEATURES=mine.yaml CUSTOMERS=20000
	$(PYTHON) training/ablation/ablation.py $(if $(FEATURES),--features $(FEATURES)) $(if $(CUSTOMERS),--customers $(CUSTOMERS)) bin/churn

bench-train: .venv ## model/gbdt against its peers: time, memory, accuracy
	.venv/bin/python model/gbdt/peers/bench.py $(BENCH)

bench-score: .venv ## model/gbdt against its peers: one row, a batch, reasons
	.venv/bin/python model/gbdt/peers/bench_score.py $(BENCH)

bench-features: .venv ## features against DuckDB and polars: from memory, from files
	.venv/bin/python features/peers/bench_features.py $(BENCH)

bench-accuracy: .venv build ## churn train against tuned peers; BENCH='--data DIR'
	.venv/bin/python training/peers/bench_accuracy.py $(BENCH) bin/churn

browser: .venv build ## reports in an installed Chromium, at several sizes and printed
	.venv/bin/python training/browser/browser.py bin/churn

clean:            ## what build and run made
	rm -rf bin run
