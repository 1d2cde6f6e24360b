"""The training benchmark: package gbdt against LightGBM, XGBoost,
scikit-learn's HistGradientBoosting and, on categories, CatBoost.

    make bench-train                                  every task, three seeds
    make bench-train BENCH='--task small --seeds 5'   one task
    make bench-train BENCH='--quick'                  does it run at all

Tables go to standard output as Markdown, progress to standard error, and
every single run to a file of JSON lines under run/bench-train.

How it measures. Every run is a process of its own; the runs of one round take
turns, ours first, so that noise of the machine meets all alike. Ratios are
medians of the ratios within a round. Reading the data and predicting are
outside the clock. See trainers.py for the settings of the peers and for what
of them cannot be made equal.
"""

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

import data

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
OUT = ROOT / "run" / "bench-train"
PROGRAM = OUT / "peers"

# Ours and its variants: the gbdt.Params that differ from those of the task.
OURS = {
    "ours": {},
    "ours symmetric": {"Grower": "symmetric", "MaxDepth": 6},
    "ours without target statistics": {"TargetOrders": 0},
}
BOOSTERS = ("ours", "lightgbm", "xgboost", "hgb")


@dataclass(frozen=True)
class Task:
    title: str
    tables: Callable  # of rows, seed and rows held out: two tables
    sizes: tuple[int, ...]  # rows to train on
    trainers: tuple[str, ...] = BOOSTERS
    trees: int = 200
    threads: int = 2
    repeats: int = 1  # rounds per seed
    held: int = 100_000


def dense(features):
    return lambda rows, seed, held: data.dense(rows, features, seed, held)


TASKS = {
    "medium": Task("100k x 100", dense(100), (100_000,)),
    "large": Task("1M x 50", dense(50), (1_000_000,)),
    "telco": Task("Telco-like, 5.6k x 19", data.telco, (5_600,), threads=1, repeats=5),
    "small": Task("few rows, 100 columns", dense(100), (5_000, 20_000), threads=1, repeats=3),
    "binning": Task("100k x 100, few trees: binning counts", dense(100), (100_000,), trees=100),
    "growth": Task("growth with the rows, 50 columns", dense(50), (100_000, 300_000, 1_000_000, 3_000_000),
                   ("ours", "lightgbm"), trees=50),
    "categories": Task("nine categories of 20 to 20,000 levels", data.high_cardinality, (50_000,),
                       (*BOOSTERS, "ours symmetric", "catboost", "ours without target statistics")),
    "symmetric": Task("what symmetric trees cost, 100k x 100", dense(100), (100_000,),
                      ("ours", "ours symmetric", "catboost")),
}


def main():
    flags = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    flags.add_argument("--task", action="append", choices=TASKS, help="may be repeated; default: all")
    flags.add_argument("--seeds", type=int, default=3, help="tables of each size (default 3)")
    flags.add_argument("--trees", type=int, help="instead of the task's")
    flags.add_argument("--threads", type=int, help="instead of the task's")
    flags.add_argument("--trainers", help="only these, separated by commas")
    flags.add_argument("--huge", action="store_true", help="growth goes on to 10 million rows")
    flags.add_argument("--quick", action="store_true", help="a twentieth of the rows, 20 trees, one seed")
    args = flags.parse_args()

    OUT.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-trimpath", "-o", PROGRAM, "./model/gbdt/peers"], cwd=ROOT, check=True)
    failed = []
    with open(OUT / time.strftime("%Y-%m-%d-%H%M%S.jsonl"), "w") as log:
        head = describe()
        print(json.dumps(head), file=log, flush=True)
        print_head(head)
        for name in args.task or TASKS:
            task = adjust(name, args)
            print(f"\n## {task.title}")
            tables = []
            for rows in task.sizes:
                runs = run_size(name, task, rows, 1 if args.quick else args.seeds, log)
                failed += [r for r in runs if "error" in r]
                tables.append((rows, [r for r in runs if "error" not in r]))
                print_size(task, *tables[-1])
            if name == "growth":
                print_growth(task, tables)
    for r in failed:
        print(f"failed: {r['task']}, {r['rows']} rows, seed {r['seed']}, {r['trainer']}: {r['error']}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def adjust(name, args):
    """The task as the flags want it."""
    task = TASKS[name]
    if name == "growth" and args.huge:
        task = replace(task, sizes=(*task.sizes, 10_000_000))
    if args.quick:
        task = replace(task, sizes=tuple(max(2_000, n // 20) for n in task.sizes), trees=20, repeats=1, held=5_000)
    if args.trees:
        task = replace(task, trees=args.trees)
    if args.threads:
        task = replace(task, threads=args.threads)
    if args.trainers:
        wanted = [t.strip() for t in args.trainers.split(",")]
        if unknown := set(wanted) - {t for k in TASKS.values() for t in k.trainers}:
            sys.exit(f"no trainer is called {', '.join(sorted(unknown))}")
        task = replace(task, trainers=tuple(t for t in task.trainers if t in wanted))
    return task


# ---- Running


def run_size(name, task, rows, seeds, log):
    """All rounds on tables of one size: a list of records, which are logged."""
    runs = []
    tables = OUT / "tables"
    for seed in range(1, seeds + 1):
        train, held = task.tables(rows, seed, task.held)
        train.write(tables / "train")
        held.write(tables / "held")
        labels = held.y.copy()
        features = len(train.names)
        del train, held
        for repeat in range(task.repeats):
            for trainer in task.trainers:
                run = {"task": name, "rows": rows, "features": features, "trees": task.trees, "seed": seed,
                       "round": (seed - 1) * task.repeats + repeat, "trainer": trainer, "threads": task.threads,
                       "load": os.getloadavg()[0]}
                print(f"{name}: {rows} rows, seed {seed}, round {repeat + 1}: {trainer}", file=sys.stderr)
                try:
                    run |= run_once(trainer, task, tables)
                    scores = np.fromfile(tables / "raw.f64", "<f8")
                    run |= {"auc": auc(labels, scores), "logloss": logloss(labels, scores)}
                except subprocess.CalledProcessError as e:
                    run["error"] = (e.stderr.strip().splitlines() or [str(e)])[-1]
                runs.append(run)
                print(json.dumps(run), file=log, flush=True)
    shutil.rmtree(tables)
    return runs


def run_once(trainer, task, tables):
    """Trains in a fresh process, leaves the scores of the held-out rows in
    raw.f64 and returns what trainers.py reports."""
    environment = os.environ | {
        # Waiting threads sleep instead of spinning: on a machine with anything
        # else to do, LightGBM with spinning threads takes several times longer.
        "OMP_WAIT_POLICY": "passive",
        "OMP_NUM_THREADS": str(task.threads),
        "GOMAXPROCS": str(task.threads),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def call(*command):
        done = subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    train, held, raw = tables / "train", tables / "held", tables / "raw.f64"
    raw.unlink(missing_ok=True)
    if trainer not in OURS:
        settings = {"trees": task.trees, "leaves": 63, "rate": 0.1, "bins": 255, "min_rows": 20, "min_hessian": 1e-3,
                    "threads": task.threads}
        out = call(sys.executable, HERE / "trainers.py", trainer, train, held, raw, json.dumps(settings))
        return json.loads(out.splitlines()[-1])
    params, model = tables / "params.json", tables / "model.txt"
    params.write_text(json.dumps({"Trees": task.trees, "Leaves": 63, "LearningRate": 0.1, "Bins": 255, "MinRows": 20,
                                  "MinHessian": 1e-3, "L2": 0} | OURS[trainer]))
    report = json.loads(call(PROGRAM, "train", "-data", train, "-params", params, "-model", model,
                             "-workers", task.threads))
    call(PROGRAM, "predict", "-data", held, "-model", model, "-out", raw)
    leaves = [int(line[11:]) for line in model.read_text().splitlines() if line.startswith("num_leaves=")]
    return split_phases(report) | {"trees": report["trees"], "leaves": statistics.mean(leaves)}


def split_phases(report):
    """Tells binning from boosting in the report of main.go.

    The history has the wall time of binning. Its CPU time is taken to be that
    times the processors that were busy until the first tree was grown, nearly
    all of which is binning."""
    phases = {k: v / 1e9 for k, v in (report["history"].get("Phases") or {}).items()}
    bin_wall = phases.get("bin", 0.0)
    bin_cpu = bin_wall * report["cpu_first"] / report["wall_first"]
    return {"bin_wall": bin_wall, "bin_cpu": bin_cpu,
            "train_wall": report["wall"] - bin_wall, "train_cpu": report["cpu"] - bin_cpu,
            "rss_before": report["rss_before"], "peak": report["peak"],
            "phases": phases, "warnings": report["warnings"]}


def auc(y, scores):
    """Area under the ROC curve; ties count half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = y.sum(dtype=np.float64)
    return float((ranks[y == 1].sum() - positive * (positive + 1) / 2) / (positive * (len(y) - positive)))


def logloss(y, scores):
    """Mean log loss of scores in log-odds."""
    return float(np.mean(np.logaddexp(0, scores) - y * scores))


# ---- Printing


def describe():
    """The machine and the versions."""
    def output(*command):
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()

    cpu = {}
    for line in open("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        cpu.setdefault(key.strip(), value.strip())
    vectors = [v for v in ("avx2", "avx512f", "avx512bw") if v in cpu.get("flags", "").split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} x {cpu.get('model name', platform.machine())} ({', '.join(vectors)}), "
                   f"{memory:.0f} GiB, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}",
        "ours": f"{output('git', 'describe', '--always', '--dirty')}, {output('go', 'env', 'GOVERSION')}",
        "peers": {"lightgbm": version("lightgbm"), "xgboost": xgboost_version(), "hgb": version("scikit-learn"),
                  "catboost": version("catboost")},
    }


def xgboost_version():
    import xgboost  # two packages provide it

    return xgboost.__version__


def print_head(head):
    p = head["peers"]
    print(f"""# Training benchmark, {time.strftime("%Y-%m-%d")}

- Machine: {head["machine"]}.
- Ours: {head["ours"]}. Peers: LightGBM {p["lightgbm"]}, XGBoost {p["xgboost"]} (hist), scikit-learn {p["hgb"]} (HistGradientBoosting), CatBoost {p["catboost"]}; Python {platform.python_version()}. OMP_WAIT_POLICY=passive.
- 63 leaves, rate 0.1, 255 bins, at least 20 rows (XGBoost: their Hessian) and a Hessian of 0.001 in a leaf, no L2. CatBoost: its defaults (symmetric, depth 6, L2 3) but for trees, rate and bins.
- Binning: LightGBM's Dataset, XGBoost's QuantileDMatrix, scikit-learn's _bin_data (clocked within fit), our phase "bin". CatBoost's is part of its training time.
- Times are medians; "x ours" is the median over rounds of the ratio to ours, CPU / wall. Memory: MiB resident at most while binning and training, input included, and how much of that was not resident before.
- AUC and log loss are medians on held-out rows; in brackets peer minus ours, mean and standard error over seeds.""")


def print_size(task, rows, runs):
    features = runs[0]["features"] if runs else "?"
    print(f"\n### {rows:,} x {features}, {task.trees} trees, {task.threads} thread{'s' if task.threads > 1 else ''}, "
          f"{len({r['seed'] for r in runs})} seeds, {len({r['round'] for r in runs})} rounds\n")
    print("| trainer | train CPU / wall, s | x ours | bin CPU / wall, s | both CPU / wall, s | x ours "
          "| peak, MiB | added | AUC | log loss | leaves |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    ours = {r["round"]: r for r in runs if r["trainer"] == "ours"}
    for trainer in task.trainers:
        mine = [r for r in runs if r["trainer"] == trainer]
        if not mine:
            print(f"| {trainer} | failed |" + " |" * 9)
            continue
        train = spent(mine, "train")
        binned = spent(mine, "bin") if any(r["bin_wall"] for r in mine) else "in training"
        print(f"| {trainer} | {train} | {times(mine, ours, 'train')} | {binned} | {spent(mine, 'train', 'bin')} "
              f"| {times(mine, ours, 'train', 'bin')} | {median(r['peak'] for r in mine):.0f} "
              f"| {median(r['peak'] - r['rss_before'] for r in mine):.0f} | {accuracy(mine, ours, 'auc')} "
              f"| {accuracy(mine, ours, 'logloss')} | {median(r['leaves'] for r in mine):.1f} |")
    print_phases([r for r in runs if r["trainer"] == "ours"])
    sys.stdout.flush()


def median(values):
    return statistics.median(values)


def seconds(run, clock, phases):
    return sum(run[f"{phase}_{clock}"] for phase in phases)


def spent(runs, *phases):
    """Median CPU and wall seconds."""
    return " / ".join(f"{median(seconds(r, clock, phases) for r in runs):.3g}" for clock in ("cpu", "wall"))


def times(runs, ours, *phases):
    """Median over rounds of how many times our CPU and wall seconds."""
    pairs = [(r, ours[r["round"]]) for r in runs if r["round"] in ours]
    if not pairs or runs[0]["trainer"] == "ours":
        return "1" if pairs else "-"
    return " / ".join(f"{median(seconds(r, clock, phases) / seconds(o, clock, phases) for r, o in pairs):.2f}"
                      for clock in ("cpu", "wall"))


def accuracy(runs, ours, metric):
    """Median of the metric, and how far it is from ours."""
    by_seed = {r["seed"]: r[metric] for r in runs}
    text = f"{median(by_seed.values()):.4f}"
    our = {r["seed"]: r[metric] for r in ours.values()}
    differences = [by_seed[s] - our[s] for s in by_seed if s in our]
    if not differences or runs[0]["trainer"] == "ours":
        return text
    text += f" ({statistics.mean(differences):+.4f}"
    if len(differences) > 1:
        text += f" ± {statistics.stdev(differences) / math.sqrt(len(differences)):.4f}"
    return text + ")"


def print_phases(runs):
    """Where our wall time goes."""
    phases = {name: median(r["phases"].get(name, 0.0) for r in runs) for r in runs for name in r["phases"]}
    if not phases:
        if runs:
            print("\nOur history has no phase times: binning is part of our training time above.")
        return
    whole = median(r["bin_wall"] + r["train_wall"] for r in runs)
    shares = sorted(((t / whole, name) for name, t in phases.items()), reverse=True)
    print("\nOurs, share of wall time: " + ", ".join(f"{name} {share:.0%}" for share, name in shares) + ".")


def print_growth(task, tables):
    """Time against n log n, from the smallest table on: 1 grows as n log n."""
    print(f"\n### Growth of {tables[0][0]:,} to {tables[-1][0]:,} rows, binning and training\n")
    print("| rows |" + "".join(f" {t}: CPU / wall, s | per n log n |" for t in task.trainers))
    print("|---|" + "---|---|" * len(task.trainers))
    first = {}
    for rows, runs in tables:
        cells = [f"{rows:,}"]
        for trainer in task.trainers:
            mine = [r for r in runs if r["trainer"] == trainer]
            if not mine:
                cells += ["failed", "-"]
                continue
            per = [median(seconds(r, clock, ("bin", "train")) for r in mine) / (rows * math.log(rows))
                   for clock in ("cpu", "wall")]
            start = first.setdefault(trainer, per)
            cells += [spent(mine, "bin", "train"), " / ".join(f"{p / s:.2f}" for p, s in zip(per, start))]
        print("| " + " | ".join(cells) + " |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
