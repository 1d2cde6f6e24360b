"""How good churn train is: against LightGBM, XGBoost, CatBoost and scikit-learn's
logistic regression, each as it comes and tuned, on the same rows.

    make bench-accuracy BENCH='--data DIR'       everything: 10 divisions, 50 trials, a day or so
    make bench-accuracy BENCH='--sets wa_churn --splits 3 --trials 10'
    make bench-accuracy BENCH='--bayes'          simulated worlds of 100,000 customers against the best possible score
    make bench-accuracy BENCH='--time'           seconds on 7,043 rows, and on a million observations
    make bench-accuracy BENCH='--quick'          does it run?

Tables go to standard output as Markdown, progress to standard error, every
measurement to run/bench-accuracy/results.jsonl, from where a run that was broken
off, or is asked for more, goes on: what was measured on the same rows with the
same settings (and, of churn, by the same binary) is not measured again.

DIR (or the variable CHURN_BENCH_DATA) has the sets that are not in the
repository; README.md says which. Without it they are left out and named.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

import sets

HERE = Path(__file__).resolve().parent
OUT = sets.ROOT / "run" / "bench-accuracy"
PEERS = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "catboost": "CatBoost", "logistic": "logistic regression"}
CHURN = "churn"
LABEL = pd.Timedelta(days=37)  # gap and horizon of simulated worlds


def say(*words):
    print(f"[{time.strftime('%H:%M:%S')}]", *words, file=sys.stderr, flush=True)


def sha(*files: Path) -> str:
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


class Results:
    """The measurements so far, one a line."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.known = path, {}
        for line in path.read_text().splitlines() if path.exists() else []:
            r = json.loads(line)
            if "key" in r:
                self.known[r["key"]] = r

    def get(self, measure, key: list, **about) -> dict:
        """What is known of the key, or is measured now."""
        key = json.dumps(key)
        if key not in self.known:
            self.known[key] = self.add(key=key, **about, **measure())
        return self.known[key]

    def add(self, **r) -> dict:
        with self.path.open("a") as f:
            f.write(json.dumps(r) + "\n")
        return r


def division(data, name: str, seed: int, o, results: Results) -> dict[str, dict]:
    """All engines on one division of a set."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        rows = data.prepare(seed, work)

        def ours():
            say(f"{name}, division {seed}: {CHURN}")
            said, p, y = data.ours(seed, work)
            return {**said, "auc": roc_auc_score(y, p), "log_loss": log_loss(y, p, labels=[0, 1])}

        done = {CHURN: results.get(ours, ["ours", rows, seed, sha(o.churn)], set=name, seed=seed, engine=CHURN)}
        for peer in o.peers:
            for trials in sorted({0, o.trials}):
                title = PEERS[peer] + (", tuned" if trials else "")

                def theirs():
                    if not (work / "train.parquet").exists():
                        for part, frame in zip(("train", "test"), data.frames(work, done[CHURN])):
                            frame.to_parquet(work / f"{part}.parquet")
                    say(f"{name}, division {seed}: {title}")
                    return json.loads(sets.run(sys.executable, HERE / "learners.py", peer, work, trials, seed)["out"])

                key = [peer, rows, done[CHURN]["split"], done[CHURN]["parts"], seed, trials, sha(HERE / "learners.py")]
                done[title] = results.get(theirs, key, set=name, seed=seed, engine=title)
        return done


def interval(differences: list[float], test: int, train: int) -> str:
    """The mean with its 95 % interval, for divisions that overlap: the variance is
    corrected as Nadeau and Bengio (2003) do."""
    mean, k = statistics.mean(differences), len(differences)
    if k < 2:
        return f"{mean:+.4f}"
    half = stats.t.ppf(0.975, k - 1) * np.sqrt((1 / k + test / train) * statistics.variance(differences))
    return f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"


def table(measured: dict[str, list[dict[str, dict]]]):
    print("| set | engine | AUC | AUC less churn's | log loss | log loss less churn's | wall, s | CPU, s |\n|---|---|---|---|---|---|---|---|")
    ranks = {}
    for name, divisions in measured.items():
        parts = divisions[0][CHURN]["parts"]
        test, train = parts["test"], parts["train"]
        means = {}
        for engine in divisions[0]:
            of = lambda what, engine=engine: [d[engine][what] for d in divisions]
            means[engine] = [statistics.mean(of(what)) for what in ("auc", "log_loss", "wall", "cpu")]
            less = ["", ""]
            if engine != CHURN:
                less = [interval([d[engine][what] - d[CHURN][what] for d in divisions], test, train) for what in ("auc", "log_loss")]
            auc, loss, wall, cpu = means[engine]
            print(f"| {name} | {engine} | {auc:.4f} | {less[0]} | {loss:.4f} | {less[1]} | {wall:.1f} | {cpu:.1f} |")
        frame = pd.DataFrame(means, index=["auc", "log_loss", "wall", "cpu"]).T
        ranks[name] = (frame.auc.rank(ascending=False), frame.log_loss.rank(), frame.auc.max() - frame.auc, frame.log_loss - frame.log_loss.min())
    print(f"\nMeans over {len(ranks)} sets; ranks are of the mean over the divisions of a set.\n")
    print("| engine | rank in AUC | rank in log loss | most behind the best AUC | most behind the best log loss |\n|---|---|---|---|---|")
    engines = list(next(iter(measured.values()))[0])
    rows = []
    for engine in engines:
        rank = [statistics.mean(r[i][engine] for r in ranks.values()) for i in (0, 1)]
        worst = [max((r[i][engine], name) for name, r in ranks.items()) for i in (2, 3)]
        rows.append((rank[0] + rank[1], f"| {engine} | {rank[0]:.2f} | {rank[1]:.2f} | {worst[0][0]:.4f} ({worst[0][1]}) | {worst[1][0]:.4f} ({worst[1][1]}) |"))
    print("\n".join(row for _, row in sorted(rows)))
    print("\n| set | rows to train on, churners | rows of the test, churners | divisions | churn chose |\n|---|---|---|---|---|")
    for name, divisions in measured.items():
        ours = [d[CHURN] for d in divisions]
        total = lambda what, part: round(statistics.mean(r[what][part] for r in ours))
        kinds = statistics.multimode(r["model"].split(",")[0].split(":")[0] for r in ours)
        print(f"| {name} | {total('parts', 'train'):,}, {total('churners', 'train'):,} | {total('parts', 'test'):,}, {total('churners', 'test'):,} | {len(ours)} | {', '.join(kinds)} |")


def accuracy(o, results: Results):
    measured = {}
    for name in o.sets:
        try:
            data = sets.load(name, o.churn, o.data, o.customers or 4000)
        except sets.Absent as why:
            print(f"{name} is left out: it is not here ({why}).\n")
            continue
        # Division by division, so that a run that is broken off has all engines.
        measured[name] = [division(data, name, seed, o, results) for seed in range(1, o.splits + 1)]
    if measured:
        table(measured)


def behind(y, oracle, ours, customers) -> tuple[float, float]:
    """The 95 % interval of AUC lost to the oracle, over samples of customers."""
    who, of = np.unique(customers, return_inverse=True)
    rng = np.random.default_rng(1)
    lost = []
    for _ in range(200):
        w = np.bincount(rng.integers(0, len(who), len(who)), minlength=len(who))[of]
        lost.append(roc_auc_score(y, oracle, sample_weight=w) - roc_auc_score(y, ours, sample_weight=w))
    return tuple(np.quantile(lost, [0.025, 0.975]))


def bayes(o, results: Results):
    customers = o.customers or 100_000
    print("| world | rows to train on | rows of the test, churners | best possible AUC | churn's AUC | behind | log loss behind | wall, s | CPU, s |\n|---|---|---|---|---|---|---|---|---|")
    for name in (s for s in o.sets if s not in sets.ALL or s in sets.WORLDS):
        data = sets.load(name, o.churn, None, customers)
        oracle = pd.read_csv(next(data.tables.glob("oracle.csv*")), parse_dates=["as_of"])
        # Snapshots are to be among those of the oracle; labels need 37 days.
        times = sorted(oracle.as_of.unique())
        data.through = f"{max(t for t in times if t + LABEL <= times[-1]) + LABEL:%Y-%m-%d}"
        with tempfile.TemporaryDirectory() as directory:
            work = Path(directory)
            say(f"{name}: rows of {customers:,} customers")
            rows = data.prepare(1, work)

            def ours():
                say(f"{name}: {CHURN}")
                said, p, y = data.ours(1, work)
                known = pd.read_parquet(work / "matrix.parquet", columns=sets.NO_FEATURES)
                test = known[data.parts(known, said)[1]].assign(p=p)
                both = test.merge(oracle, on=["customer_id", "as_of"])
                y, best, p = both.churned_x.astype(int), both.probability, both.p
                low, high = behind(y, best, p, both.customer_id)
                return {**said, "rows": len(both), "left": int(y.sum()), "without_oracle": len(test) - len(both),
                        "best": roc_auc_score(y, best), "auc": roc_auc_score(y, p), "low": low, "high": high,
                        "lost": log_loss(y, p) - log_loss(y, best)}

            r = results.get(ours, ["bayes", rows, sha(o.churn)], set=name, customers=customers, engine=CHURN)
        print(f"| {name} | {r['parts']['train']:,} | {r['rows']:,}, {r['left']:,} | {r['best']:.4f} | {r['auc']:.4f} | {r['best'] - r['auc']:.4f} "
              f"({r['low']:.4f} to {r['high']:.4f}) | {r['lost']:.4f} | {r['wall']:.0f} | {r['cpu']:.0f} |", flush=True)
        if r["without_oracle"]:
            say(f"{name}: {r['without_oracle']} rows of the test have no best possible score and are left out")


def seconds(o, results: Results):
    """What churn train costs. A million observations are those of 147,000 customers."""
    print("| churn train on | wall, s | CPU, s | peak, MiB |\n|---|---|---|---|")

    def line(what, r):
        results.add(what=what, **{k: r[k] for k in ("wall", "cpu", "peak")})
        print(f"| {what} | {r['wall']:.1f} | {r['cpu']:.1f} | {r['peak']:.0f} |", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "churn.yaml").write_text("training: {seed: 1}\n")
        telco = sets.ROOT / "testdata" / "telco" / "wa_churn.csv"
        for round in (1, 2, 3):
            say(f"wa_churn, round {round}")
            line("wa_churn, 7,043 rows of 19 columns", sets.run(o.churn, "train", "--table", telco, "--label", "churn=Yes", "--quiet", cwd=directory))
    customers = o.customers or 147_000
    data = sets.load("plain", o.churn, None, customers)
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        say(f"plain: rows of {customers:,} customers")
        data.prepare(1, work)
        rows = len(pd.read_parquet(work / "matrix.parquet", columns=["as_of"]))
        say(f"plain: {rows:,} rows")
        line(f"a matrix of {rows:,} observations, default catalogue", sets.run(o.churn, "train", "--matrix", "matrix.parquet", "--quiet", cwd=work))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("churn", type=Path)
    parser.add_argument("--data", type=Path, default=os.environ.get("CHURN_BENCH_DATA"))
    parser.add_argument("--sets", type=lambda s: s.split(","), default=sets.ALL, help="separated by commas; also other worlds")
    parser.add_argument("--splits", type=int, default=10, help="divisions of each set")
    parser.add_argument("--trials", type=int, default=50, help="of each search; 0: nothing tuned")
    parser.add_argument("--peers", type=lambda s: s.split(","), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--customers", type=int, help="of a world (default: 4000, with --bayes 100000, with --time 147000)")
    parser.add_argument("--bayes", action="store_true")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--quick", action="store_true", help="wa_churn, one division, 3 trials")
    o = parser.parse_args()
    o.churn, o.data = o.churn.resolve(), o.data and Path(o.data).resolve()
    if o.quick:
        o.sets, o.splits, o.trials = ["wa_churn"], 1, 3
    if unknown := set(o.peers) - set(PEERS):
        parser.error(f"no peer {', '.join(unknown)}: there are {', '.join(PEERS)}")
    results = Results(OUT / "results.jsonl")
    if o.bayes:
        bayes(o, results)
    elif o.time:
        seconds(o, results)
    else:
        accuracy(o, results)


main()
