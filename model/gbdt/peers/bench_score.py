"""The scoring benchmark: package gbdt against leaves (Go), LightGBM and
XGBoost: one row, a batch, reasons (exact Shapley values), loading.

    make bench-score                          three seeds, five rounds each
    make bench-score BENCH='--rounds 9'       more rounds
    make bench-score BENCH='--quick'          does it run at all

Tables go to standard output as Markdown, progress to standard error, and
every single measurement to a file of JSON lines under run/bench-score.

How it measures. Each seed is a table and three models of it: LightGBM's, ours
with symmetric trees, XGBoost's. All that score a model must first agree on
it: scores of one model text to the last bit, contributions to a millionth of
the largest. Then every engine is a process that has loaded its model and waits;
a round asks one after the other for a fraction of a second of work, all from
the same row on, so that noise meets all alike. The rows of a request differ: an
engine that scores one row again and again is measured with branches the
processor knows by heart. Counted is the CPU time of the whole process, user and
system. Ratios are medians of the ratios within a round. Reading rows and
writing results are outside the clock.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

import data
from bench import HERE, ROOT, describe
from scorers import CAPI, GO, LEAVES, OURS, OUT, PYTHON, TEXTBOOK, THREADS, XGB, build, fit, start, start_batch

START = time.perf_counter()


@dataclass(frozen=True)
class Plan:
    seeds: int = 3
    rounds: int = 5
    batch_rounds: int = 2  # per seed
    rows: int = 50_000  # to train on
    held: int = 100_000  # to score one by one
    batch: int = 1_000_000
    trees: int = 200
    leaves: int = 63
    many: int = 1_000  # trees of the model that is loaded
    block: float = 0.15  # seconds of one measurement, about
    features: int = 50


QUICK = Plan(seeds=1, rounds=2, batch_rounds=1, rows=5_000, held=5_000, batch=50_000, trees=30, many=60, block=0.02)


@dataclass(frozen=True)
class Task:
    """What is asked of which engines. The first of them is ours."""

    title: str
    model: str
    work: str
    engines: tuple[str, ...]


TASKS = (
    Task("One row", "ordinary", "margin", (OURS, LEAVES, CAPI)),
    Task("One row", "symmetric", "margin", (OURS, CAPI)),  # leaves refuses a set of no level, which these may have
    Task("One row", "XGBoost's", "margin", (OURS, XGB)),
    Task("Reasons of one row", "ordinary", "reasons", (OURS, TEXTBOOK, CAPI)),
    Task("Reasons of one row", "symmetric", "reasons", (OURS, TEXTBOOK, CAPI)),
    Task("Reasons of one row", "XGBoost's", "reasons", (OURS, TEXTBOOK, XGB)),
)
BATCHES = (
    Task("Batch", "ordinary", "batch", (OURS, PYTHON)),
    Task("Batch", "symmetric", "batch", (OURS, PYTHON)),
)


def main():
    flags = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    flags.add_argument("--seeds", type=int, help="tables, each with models of its own (default 3)")
    flags.add_argument("--rounds", type=int, help="rounds of each seed (default 5)")
    flags.add_argument("--quick", action="store_true", help="small models, one seed: does it run at all")
    args = flags.parse_args()
    plan = QUICK if args.quick else Plan()
    plan = replace(plan, **{k: v for k in ("seeds", "rounds") if (v := getattr(args, k))})

    shutil.rmtree(OUT / "work", ignore_errors=True)
    (OUT / "work").mkdir(parents=True)
    build()
    runs, sizes, agreed = [], [], []
    with open(OUT / time.strftime("%Y-%m-%d-%H%M%S.jsonl"), "w") as log:
        def keep(run):
            runs.append(run)
            print(json.dumps(run), file=log, flush=True)

        head = describe()
        print(json.dumps(head), file=log, flush=True)
        print_head(head, plan)
        for seed in range(1, plan.seeds + 1):
            say(f"seed {seed}: tables and models")
            train, held = data.dense(plan.rows, plan.features, seed, plan.batch)
            models = fit(train, plan, many=seed == 1)
            if seed == 1:
                sizes = measure_load()
                print(json.dumps(sizes), file=log, flush=True)
            held.write(OUT / "work" / "batch")
            held = held.head(plan.held)
            held.write(OUT / "work" / "rows")
            with ExitStack() as stack:
                engines = start(stack, models, held)
                say(f"seed {seed}: do they agree")
                agreed.append(agree(engines, held))
                measure(engines, plan, seed, keep)
            with ExitStack() as stack:
                measure_batches(start_batch(stack, models), plan, seed, keep)
        print_agreed(agreed)
        print_tasks(runs, plan)
        files = measure_files()
        print_load(sizes, files)
        print_goals(runs, sizes, files)
    shutil.rmtree(OUT / "work")


def say(what):
    print(f"{time.perf_counter() - START:4.0f} s: {what}", file=sys.stderr, flush=True)


# ---- Measuring


def agree(engines, held) -> dict:
    """All engines of a model give the same, or this is the end. Returns by
    how much the contributions differ, as parts of the largest."""
    rows, few = min(2000, len(held.X)), 20
    far = {}
    for task in TASKS:
        n = rows if task.work == "margin" else few
        results = {name: engines[task.model, name].result(task.work, 0, n) for name in task.engines}
        ours, most = results[OURS], np.abs(results[OURS]).max()
        for name, theirs in results.items():
            distance = np.abs(ours - theirs).max() / most
            # XGBoost computes in float32.
            allowed = 1e-4 if name == XGB else 0 if task.work == "margin" else 1e-6
            if not distance <= allowed:
                sys.exit(f"{task.title}, {task.model} model: {name} differs by {distance:.3g} of the largest, "
                         f"allowed are {allowed:.3g}; nothing was measured")
            far[task.work, task.model, name] = distance
    return far


def measure(engines, plan, seed, keep):
    rows = {}  # of a block
    for task in TASKS:
        for name in task.engines:
            rows[task, name] = block(engines[task.model, name], task.work, plan)
    for round in range(plan.rounds):
        say(f"seed {seed}: round {round + 1}")
        first = round * plan.held // plan.rounds
        for task in TASKS:
            for name in task.engines:
                n = min(rows[task, name], plan.held - first)
                spent = engines[task.model, name].cost(task.work, first, n)
                keep(record(task, name, seed, round, n, spent))


def block(engine, work, plan) -> int:
    """How many rows take the time of a block; the engine is warm then."""
    rows = 8
    while True:
        spent = engine.cost(work, 0, rows)["cpu"]
        if spent > plan.block / 8 or rows == plan.held:
            return max(1, min(plan.held, round(rows * plan.block / spent)))
        rows = min(4 * rows, plan.held)


def measure_batches(engines, plan, seed, keep):
    for task in BATCHES:
        few = min(20_000, plan.batch)
        ours, theirs = (engines[task.model, name].result(task.work, 0, few) for name in task.engines)
        if (ours != theirs).any():
            sys.exit(f"{task.title}, {task.model} model: scores differ; nothing was measured")
    for round in range(plan.batch_rounds):
        say(f"seed {seed}: batch {round + 1}")
        for task in BATCHES:
            for name in task.engines:
                spent = engines[task.model, name].cost(task.work, 0, plan.batch)
                keep(record(task, name, seed, round, plan.batch, spent))


def record(task, name, seed, round, rows, spent):
    run = {"model": task.model, "work": task.work, "engine": name, "seed": seed, "round": round, "rows": rows,
           "cpu": spent["cpu"] / rows, "wall": spent["wall"] / rows, "load": os.getloadavg()[0]}
    if "allocations" in spent:
        # Whole ones, as testing.AllocsPerRun counts: the runtime has some of its own.
        run["allocations"] = spent["allocations"] // rows
    return run


def measure_load() -> list[dict]:
    """Reading and compiling, medians of seven."""
    lines = []
    for model in ("ordinary", "symmetric"):
        path = OUT / "work" / f"many-{model}.txt"
        done = subprocess.run([OUT / "peers", "load", "-model", path, "-repeat", "7"], check=True, capture_output=True,
                              text=True)
        loads = [json.loads(line) for line in done.stdout.splitlines()]
        line = {"model": model, "text_bytes": path.stat().st_size}
        for key in ("trees", "forest_bytes", "compiled_bytes", "workspace_bytes"):
            line[key] = round(statistics.median(load[key] for load in loads))
        for step in ("read", "compile"):
            for clock in ("cpu", "wall"):
                line[f"{step}_{clock}"] = statistics.median(load[step][clock] for load in loads)
        lines.append(line)
    return lines


def measure_files() -> list[float]:
    """Milliseconds that the Go benchmark of whole model files reports."""
    say("model files")
    done = subprocess.run([GO, "test", "-run", "^$", "-bench", "^BenchmarkLoad$", "-benchtime", "3x", "-count", "5",
                           "./model"], cwd=ROOT, check=True, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("BenchmarkLoad")]
    return [sum(float(line[line.index(unit) - 1]) for unit in ("ms-read", "ms-compile")) for line in lines]


# ---- Printing


def print_head(head, plan):
    p = head["peers"]
    print(f"""# Scoring benchmark, {time.strftime("%Y-%m-%d")}

- Machine: {head["machine"]}.
- Ours: {head["ours"]}. Peers: leaves {leaves_version()}, LightGBM {p["lightgbm"]}, XGBoost {p["xgboost"]}; OMP_WAIT_POLICY=passive.
- Command: make bench-score{" BENCH='" + " ".join(sys.argv[1:]) + "'" if sys.argv[1:] else ""}.
- Models of {plan.trees} trees and {plan.features} features, some of them categories, some values missing, trained on {plan.rows:,} rows: "ordinary" by LightGBM ({plan.leaves} leaves), "symmetric" by us (depth 6), both as LightGBM text; XGBoost's own ({plan.leaves} leaves, leaf-wise). {plan.seeds} seeds, {plan.rounds} rounds each of about {plan.block} s an engine.
- CPU time a row, median over rounds and seeds, and the least. "x ours" is the median over rounds of the ratio to ours on the same model, then from the least to the largest.
- Single rows and reasons: one thread. LightGBM through LGBM_BoosterPredictForMatSingleRowFast from C. XGBoost through inplace_predict from Python, a row a call, and pred_contribs on a DMatrix that is ready: for orientation.
- leaves is handed version=v3 in the head of the file, and no symmetric model: it refuses sets of no level.""", flush=True)
    if plan.trees != Plan.trees:
        print("- Small models: this shows that everything runs, and no figure means anything.", flush=True)


def leaves_version():
    for line in (HERE / "leaves" / "go.mod").read_text().splitlines():
        if "dmitryikh/leaves v" in line:
            return line.split()[-1]
    raise ValueError("leaves/go.mod requires no leaves")


def print_agreed(agreed):
    print("\n## Do they agree\n")
    print("Scores of the two LightGBM texts: the same bits from ours, leaves, LightGBM's C API and Python.")
    print("Differences to ours otherwise, as parts of the largest value:\n")
    print("| | model | engine | differs by |\n|---|---|---|---|")
    for key in agreed[0]:
        work, model, name = key
        if name != OURS and (work == "reasons" or name == XGB):
            print(f"| {work} | {model} | {name} | {max(far[key] for far in agreed):.1e} |")


def print_tasks(runs, plan):
    for title, clocks, tasks in (("One row", ("cpu",), TASKS[:3]), ("Reasons of one row", ("cpu",), TASKS[3:]),
                                 (f"Batch of {plan.batch:,} rows, {THREADS} threads", ("cpu", "wall"), BATCHES)):
        print(f"\n## {title}\n")
        times = "".join(f" {clock.replace('cpu', 'CPU')} µs a row | least | x ours |" for clock in clocks)
        print(f"| model | engine |{times} allocations a row |")
        print("|---|---|" + "---|---|---|" * len(clocks) + "---|")
        for task in tasks:
            for name in task.engines:
                mine = select(runs, task.model, task.work, name)
                cells = []
                for clock in clocks:
                    spent = [1e6 * r[clock] for r in mine]
                    cells += [f"{statistics.median(spent):.3g}", f"{min(spent):.3g}",
                              "1" if name == OURS else
                              spread(ratios(runs, task.work, (task.model, name), (task.model, OURS), clock))]
                counted = [r["allocations"] for r in mine if "allocations" in r]
                cells.append(f"{statistics.median(counted):.0f}" if counted else "-")
                print(f"| {task.model} | {name} | " + " | ".join(cells) + " |")


def select(runs, model, work, engine):
    return [r for r in runs if (r["model"], r["work"], r["engine"]) == (model, work, engine)]


def ratios(runs, work, slow, fast, clock="cpu"):
    """Of two (model, engine), round by round."""
    by_round = {(r["seed"], r["round"]): r[clock] for r in select(runs, fast[0], work, fast[1])}
    return [r[clock] / by_round[r["seed"], r["round"]] for r in select(runs, slow[0], work, slow[1])]


def spread(values):
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def print_load(sizes, files):
    print("\n## Loading\n")
    print("LightGBM text read and compiled; medians of seven. Bytes are those of live objects on the heap.\n")
    print("| model | trees | text, KiB | read, ms CPU / wall | compile, ms CPU / wall | forest, KiB | compiled, KiB "
          "| workspace, KiB |")
    print("|---|---|---|---|---|---|---|---|")
    for s in sizes:
        kib = [f"{s[key] / 1024:,.0f}" for key in ("forest_bytes", "compiled_bytes")]
        print(f"| {s['model']} | {s['trees']} | {s['text_bytes'] / 1024:,.0f} "
              + "".join(f"| {1e3 * s[step + '_cpu']:.1f} / {1e3 * s[step + '_wall']:.1f} " for step in ("read", "compile"))
              + f"| {' | '.join(kib)} | {s['workspace_bytes'] / 1024:.1f} |")
    print("\nA model file of 1,000 random trees of 64 leaves, `model.Read` and `Compile` with its self-test: "
          f"{spread(files)} ms wall (`go test -bench Load ./model`).")


def print_goals(runs, sizes, files):
    """What was aimed at, and whether it was reached in this run."""
    ordinary, symmetric = ("ordinary", OURS), ("symmetric", OURS)
    goals = []

    def times(what, work, slow, fast, least, clock="cpu"):
        values = ratios(runs, work, slow, fast, clock)
        goals.append((what, f">= {least}", spread(values), statistics.median(values) >= least))

    times("one row, ordinary: leaves / ours", "margin", ("ordinary", LEAVES), ordinary, 4)
    times("one row, ordinary: LightGBM's C API / ours", "margin", ("ordinary", CAPI), ordinary, 4)
    times("one row: leaves on the ordinary model / ours on the symmetric", "margin", ("ordinary", LEAVES), symmetric,
          10)
    times("one row: LightGBM's C API on the ordinary model / ours on the symmetric", "margin", ("ordinary", CAPI),
          symmetric, 10)
    for clock in ("cpu", "wall"):
        times(f"batch, ordinary: LightGBM / ours, {clock.replace('cpu', 'CPU')}", "batch", ("ordinary", PYTHON),
              ordinary, 3, clock)
    times("reasons, ordinary: textbook / ours", "reasons", ("ordinary", TEXTBOOK), ordinary, 10)
    times("reasons, ordinary: LightGBM's C API / ours", "reasons", ("ordinary", CAPI), ordinary, 10)
    times("reasons: textbook on the ordinary model / ours on the symmetric", "reasons", ("ordinary", TEXTBOOK),
          symmetric, 300)
    times("reasons: LightGBM's C API on the ordinary model / ours on the symmetric", "reasons", ("ordinary", CAPI),
          symmetric, 300)
    spent = 1e6 * statistics.median(r["cpu"] for r in select(runs, "symmetric", "reasons", OURS))
    goals.append(("reasons, symmetric: ours, µs", "<= 10", f"{spent:.3g}", spent <= 10))
    most = max(r["allocations"] for r in runs if r["engine"] == OURS and r["work"] in ("margin", "reasons"))
    goals.append(("allocations a row, largest of all rounds", "0", f"{most}", most == 0))
    for s in sizes:
        took = 1e3 * (s["read_wall"] + s["compile_wall"])
        goals.append((f"text of {s['trees']:,} {s['model']} trees read and compiled, ms", "< 100", f"{took:.0f}",
                      took < 100))
    took = statistics.median(files)
    goals.append(("model file of 1,000 trees read and compiled, ms", "< 100", spread(files), took < 100))
    print("\n## Goals\n\n| | goal | median (from, to) | |\n|---|---|---|---|")
    for what, goal, found, reached in goals:
        print(f"| {what} | {goal} | {found} | {'reached' if reached else 'missed'} |")


if __name__ == "__main__":
    main()
