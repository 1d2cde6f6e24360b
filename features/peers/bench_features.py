"""The benchmark of features: the engine against the best SQL we could write for
DuckDB, and against polars.

    make bench-features                            50,000 customers, 20 million events
    make bench-features BENCH='--rounds 5'         more rounds
    make bench-features BENCH='--customers 500000' 200 million events: much disk, hours
    make bench-features BENCH='--quick'            does it run, and do all agree?

Tables go to standard output as Markdown, progress to standard error, every
measurement to a file of JSON lines under run/bench-features. Worlds are kept
below the system's directory for temporary files and made once.

First all must agree on every value: counts exactly, all else within 1e-9. Then
rounds: each engine once, one after the other, so that noise meets all alike;
figures are medians, ratios medians of the ratios within a round. Two threads
each. From files, churn runs as its users run it: it also validates every row,
finds duplicates and ids of two customers, fingerprints the data, looks for
leaks and counts verdicts, none of which the SQL does.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np

import sets
from duck import VARIANTS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "run" / "bench-features"
END = datetime(2026, 4, 1, tzinfo=timezone.utc)  # of the simulated world
SNAPSHOTS = [END - timedelta(days=30 * i) for i in range(11, -1, -1)]
ISO = [t.strftime("%Y-%m-%dT%H:%M:%SZ") for t in SNAPSHOTS]
TIMES = {"occurred_at", "recorded_at", "opened_at", "resolved_at", "resolved_recorded_at", "due_at", "paid_at", "status_at",
         "paid_recorded_at", "signed_up_at", "churned_at"}
NUMBERS = {"value", "amount", "severity", "satisfaction", "cost", "seats", "price"}
ORDER = {"customers": "signed_up_at", "engagement": "occurred_at", "complaints": "opened_at", "payments": "due_at", "contacts": "occurred_at"}
CHURN, DUCKDB, POLARS = "churn", "DuckDB", "polars"


def say(*words):
    print(f"[{time.strftime('%H:%M:%S')}]", *words, file=sys.stderr, flush=True)


def world(customers: int) -> Path:
    """Tables sorted by customer and time as Parquet, by time as CSV."""
    directory = Path(tempfile.gettempdir()) / "churn-bench-features" / str(customers)
    if (directory / "done").exists():
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    if shutil.disk_usage(directory).free < customers * 100_000:
        sys.exit(f"{directory}: too little room for {customers} customers")
    say(f"simulating {customers} customers")
    subprocess.run([OUT / "work" / "peers", "world", "-out", directory / "raw", "-customers", str(customers)], check=True)
    db = duckdb.connect()
    db.execute("SET TimeZone='UTC'; SET threads=2; SET memory_limit='2GB'")
    db.execute("SET temp_directory=?", [str(directory / "spill")])
    for kind in ("parquet", "csv"):
        (directory / kind).mkdir()
        sources = "".join(f"  {t}: [{{path: {kind}/{t}.{kind}}}]\n" for t in ORDER)
        (directory / f"{kind}.yaml").write_text(f"clock: {ISO[-1]}\nsources:\n{sources}churn: {{kind: contract, gap: 7d, horizon: 30d}}\n")
    for t, at in ORDER.items():
        db.execute(f"CREATE OR REPLACE VIEW raw AS FROM read_csv('{directory}/raw/{t}.csv', all_varchar=true, header=true)")
        names = [r[0] for r in db.execute("DESCRIBE raw").fetchall()]
        typed = ", ".join(f"{n}::TIMESTAMPTZ AS {n}" if n in TIMES else f"{n}::DOUBLE AS {n}" if n in NUMBERS else n for n in names)
        db.execute(f"COPY (SELECT {typed} FROM raw ORDER BY customer_id, {at}) TO '{directory}/parquet/{t}.parquet' (FORMAT parquet, COMPRESSION zstd)")
        db.execute(f"COPY (FROM raw ORDER BY {at}) TO '{directory}/csv/{t}.csv' (HEADER)")
    shutil.rmtree(directory / "raw")
    shutil.rmtree(directory / "spill", ignore_errors=True)
    (directory / "done").touch()
    return directory


def run(command, **how) -> dict:
    """Runs a program to its end: wall and CPU seconds, peak MiB."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=said, **how)
        peak, ended = 0, 0
        while not ended:
            # What wait4 says of the peak begins with the size of this program.
            with contextlib.suppress(OSError, StopIteration, IndexError):
                lines = open(f"/proc/{process.pid}/status")
                peak = max(peak, int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)
            time.sleep(0.01)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{command[:3]} failed:\n{said.read().decode()[-2000:]}")
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": peak}


class Bench:
    def __init__(self, directory, name, variant, memory):
        self.directory, self.name, self.variant, self.memory = directory, name, variant, memory
        self.set = OUT / "work" / f"set-{name}.yaml"
        self.set.write_text(sets.yaml(sets.SETS[name]))

    def job(self, kind, check=""):
        return json.dumps({"work": str(OUT / "work"), "tables": str(self.directory / kind), "format": kind, "set": self.name, "variant": self.variant,
                           "snapshots": [int(t.timestamp()) * 1_000_000 for t in SNAPSHOTS], "check": check, "out": str(OUT / "work" / "theirs.parquet")})

    def files(self, engine, kind, check="", memory=None):
        """From files to a matrix."""
        two = dict(os.environ, GOMAXPROCS="2")
        if engine == CHURN:
            return run([OUT / "work" / "churn", "features", "build", "--config", self.directory / f"{kind}.yaml", "--from-sources", "--quiet",
                        "--features", self.set, "--as-of", ",".join(ISO), "--memory", memory or self.memory, "--out", OUT / "work" / "ours.parquet"], env=two)
        return run([sys.executable, HERE / "theirs.py", "files", engine.lower(), self.job(kind, check)])

    def waiting(self, engine):
        """A process that has loaded all and computes when it is told to."""
        command = [OUT / "work" / "peers", "engine", "-dir", self.directory / "parquet", "-set", self.set, "-instants", ",".join(ISO), "-workers", "2"]
        if engine != CHURN:
            command = [sys.executable, HERE / "theirs.py", "memory", engine.lower(), self.job("parquet")]
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ, GOMAXPROCS="2"))
        if not process.stdout.readline():
            sys.exit(f"{engine} does not start")
        return process

    def verify(self, engine, kind):
        """All values of the matrix of churn against those of another."""
        self.files(CHURN, kind)
        self.files(engine, kind, "check")
        db = duckdb.connect()
        db.execute("SET TimeZone='UTC'")
        names = [f.name for f in sets.SETS[self.name]]
        tables = []
        for path in ("ours", "theirs"):
            made = OUT / "work" / f"{path}.parquet"
            tables.append(db.sql(f"SELECT {', '.join(names)} FROM read_parquet('{made}') ORDER BY customer_id, as_of").fetchnumpy())
        wrong = []
        for f in sets.SETS[self.name]:
            got, want = (np.ma.filled(t[f.name].astype(float), np.nan) for t in tables)
            if len(got) != len(want):
                sys.exit(f"{engine}: {len(want)} rows, churn has {len(got)}")
            room = np.where(np.isnan(want), 0, 0.5000001 * np.spacing(np.abs(want.astype(np.float32))).astype(float))
            if f.agg not in ("count", "days"):
                room = room + 1e-9 * np.maximum(np.abs(want), 1e-6)  # below a millionth a sum of doubles has no digits
            if "gap_std" in f.name or f.name == "eng_gap_cv":
                room = room + 1e-6  # days: of nearly equal gaps their one pass loses the digits that differ
            bad = np.flatnonzero(~((np.abs(got - want) <= room) | np.isnan(got) & np.isnan(want)))
            if len(bad):
                i = bad[0]
                wrong.append(f"{f.name}: {len(bad)} of {len(got)} differ, churn has {got[i]!r}, {engine} {want[i]!r}")
        if wrong:
            sys.exit(f"{engine} and churn do not agree:\n" + "\n".join(wrong))
        say(f"{engine} and churn agree: {len(got)} rows of {len(names)} features from {kind}")


def ask(process) -> dict:
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def versions():
    names = {"duckdb": DUCKDB, "polars": POLARS, "numpy": "numpy"}
    go = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout.strip()
    return ", ".join([go, *(f"{n} {importlib.metadata.version(p)}" for p, n in names.items())])


def processor():
    try:
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    except OSError:
        pass
    return platform.processor()


def main():
    flags = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    flags.add_argument("--customers", type=int, default=50_000)
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--memory", default="256MB", help="--memory of churn, for putting events in order")
    flags.add_argument("--sets", default="60,150")
    flags.add_argument("--growth", action="store_true", help="also a tenth of the customers, and ten times as many if there is room")
    flags.add_argument("--quick", action="store_true", help="500 customers, one round: does it run, and do all agree")
    args = flags.parse_args()
    if args.quick:
        args.customers, args.rounds = 500, 1
    (OUT / "work").mkdir(parents=True, exist_ok=True)
    for name, package in (("churn", "./cmd/churn"), ("peers", "./features/peers")):
        subprocess.run(["go", "build", "-trimpath", "-o", OUT / "work" / name, package], cwd=ROOT, check=True)
    log = open(OUT / time.strftime("%Y-%m-%d-%H%M%S.jsonl"), "w")
    runs = []

    def keep(**r):
        runs.append(r)
        print(json.dumps(r), file=log, flush=True)

    directory = world(args.customers)
    print("# Features: churn, DuckDB, polars\n")
    print(f"`python features/peers/bench_features.py {' '.join(sys.argv[1:])}`, {time.strftime('%Y-%m-%d')}; {processor()}, "
          f"{os.cpu_count()} processors, two threads each; {versions()}. {args.customers:,} customers, twelve rows each a month apart; "
          f"medians of {args.rounds} rounds.\n")
    for name in args.sets.split(","):
        bench = Bench(directory, name, best_variant(directory, name, args, keep), args.memory)
        for engine, kind in ((DUCKDB, "parquet"), (POLARS, "csv" if args.quick else "parquet")):
            bench.verify(engine, kind)
        waiting = {e: bench.waiting(e) for e in (CHURN, DUCKDB, POLARS)}
        for round in range(args.rounds + 1):  # the first warms up
            for engine, process in waiting.items():
                r = ask(process)
                if round or args.quick:
                    keep(what="memory", set=name, engine=engine, round=round, **r)
        for process in waiting.values():
            process.stdin.close()
            process.wait()
        for kind in ("parquet", "csv"):
            for round in range(args.rounds):
                for engine in (CHURN, DUCKDB, POLARS):
                    say(f"{name} features from {kind}, round {round + 1}: {engine}")
                    keep(what=kind, set=name, engine=engine, round=round, **bench.files(engine, kind))
    report(runs, args)
    if args.growth:
        growth(args, keep)
    reading(directory, keep)


def best_variant(directory, name, args, keep):
    """The SQL that is fastest from memory, on a world of its own size for those that could be."""
    tried = {}
    for variant in [v for v in VARIANTS if v != "direct" or args.quick]:
        process = Bench(directory, name, variant, args.memory).waiting(DUCKDB)
        ask(process)
        tried[variant] = ask(process)
        keep(what="variant", set=name, engine=DUCKDB, variant=variant, **tried[variant])
        process.stdin.close()
        process.wait()
    best = min(tried, key=lambda v: tried[v]["cpu"])
    say(f"SQL for {name} features, CPU seconds: " + ", ".join(f"{v} {t['cpu']:.2f}" for v, t in tried.items()) + f"; taken: {best}")
    return best


def report(runs, args):
    print("| | features | engine | wall, s | CPU, s | peak, MiB | its wall / ours (from, to) | its CPU / ours |\n|---|---|---|---|---|---|---|---|")
    title = {"memory": "from memory", "parquet": "from sorted Parquet", "csv": "from CSV in order of time"}
    for what in title:
        for name in args.sets.split(","):
            ours = {r["round"]: r for r in runs if (r["what"], r["set"], r["engine"]) == (what, name, CHURN)}
            for engine in (CHURN, DUCKDB, POLARS):
                mine = [r for r in runs if (r["what"], r["set"], r["engine"]) == (what, name, engine)]
                median = lambda key: statistics.median(r[key] for r in mine)
                cells = [f"{median('wall'):.2f}", f"{median('cpu'):.2f}", f"{median('peak'):.0f}" if "peak" in mine[0] else "-"]
                for clock in ("wall", "cpu"):
                    ratios = [r[clock] / ours[r["round"]][clock] for r in mine]
                    cells.append("1" if engine == CHURN else f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
                print(f"| {title[what]} | {name} | {engine} | " + " | ".join(cells) + " |")
    for name in args.sets.split(","):
        mine = [r for r in runs if (r["what"], r["set"], r["engine"]) == ("memory", name, CHURN)]
        rate = statistics.median(r["events"] / r["cpu"] for r in mine)
        print(f"\n{name} features: {mine[0]['events']:,} events, {mine[0]['rows']:,} rows, the engine takes {rate / 1e6:.1f} million events a second and core.")


def growth(args, keep):
    print("\n| customers | wall, s | CPU, s | peak, MiB |\n|---|---|---|---|")
    for customers in (args.customers // 10, args.customers, args.customers * 10):
        if customers > args.customers and shutil.disk_usage(tempfile.gettempdir()).free < customers * 100_000:
            continue
        bench = Bench(world(customers), "150", "", args.memory)
        r = bench.files(CHURN, "parquet")
        keep(what="growth", customers=customers, **r)
        print(f"| {customers:,} | {r['wall']:.1f} | {r['cpu']:.1f} | {r['peak']:.0f} |")


def reading(directory, keep):
    print("\nReading alone, one goroutine, no ids looked up:\n\n| table | format | rows | million rows/s | MB/s |\n|---|---|---|---|---|")
    for kind in ("csv", "parquet"):
        lines = subprocess.run([OUT / "work" / "peers", "read", "-dir", directory / kind], check=True, capture_output=True, text=True).stdout
        for line in lines.splitlines():
            r = json.loads(line)
            c = r["cost"]
            if c.get("rows", 0) < 100:
                continue
            keep(what="read", format=kind, **r)
            rate = f"{c['bytes'] / c['cpu'] / 1e6:.0f}" if r["whole"] else "-"
            print(f"| {r['table']} | {kind} | {c['rows']:,} | {c['rows'] / c['cpu'] / 1e6:.2f} | {rate} |")


if __name__ == "__main__":
    main()
