"""DuckDB and polars as processes that bench_features.py starts.

    python theirs.py memory duckdb|polars JSON    waits; computes once for each line, prints what that took
    python theirs.py files duckdb|polars JSON     from files to a matrix, once
"""

import json
import os
import resource
import sys
import time

import duck
from sets import SETS, STREAMS

THREADS = 2


def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def connect(work):
    import duckdb

    db = duckdb.connect()
    db.execute(f"SET threads={THREADS}; SET TimeZone='UTC'; SET preserve_insertion_order=false")
    db.execute("SET temp_directory=?", [os.path.join(work, "spill")])
    return db


def scan(job, table):
    path = os.path.join(job["tables"], f"{table}.{job['format']}")
    if job["format"] == "parquet":
        return f"read_parquet('{path}')"
    types = {"occurred_at": "TIMESTAMPTZ", "due_at": "TIMESTAMPTZ", "opened_at": "TIMESTAMPTZ", "churned_at": "TIMESTAMPTZ",
             "value": "DOUBLE", "amount": "DOUBLE", "severity": "DOUBLE"}
    head = open(path).readline().strip().split(",")
    columns = ", ".join(f"'{c}': '{types.get(c, 'VARCHAR')}'" for c in head)
    return f"read_csv('{path}', header=true, auto_detect=false, delim=',', columns={{{columns}}})"


def duckdb_rows(db, job):
    """The customers by number, and the rows to compute."""
    duck.setup(db, job["snapshots"])
    db.execute(f"CREATE TABLE customers AS SELECT row_number() OVER (ORDER BY customer_id)::INTEGER AS c, customer_id, epoch_us(churned_at) AS left_at FROM {scan(job, 'customers')}")
    db.execute("CREATE TABLE rows AS SELECT c, t FROM customers, instants WHERE left_at IS NULL OR left_at >= t")


def duckdb_load(db, job, kind):
    for s, (at, field, level) in STREAMS.items():
        of = "VARCHAR" if level else "INTEGER"
        db.execute(f"CREATE {kind} {s} AS SELECT c, epoch_us({at}) AS h, {field} AS v, {level or 'NULL'}::{of} AS kind FROM {scan(job, s)} JOIN customers USING (customer_id)"
                   + (" ORDER BY c, h" if kind == "TABLE" else ""))
        if level and kind == "TABLE":
            db.execute(f"CREATE TYPE {s}_kind AS ENUM (SELECT DISTINCT kind FROM {s}); ALTER TABLE {s} ALTER kind TYPE {s}_kind")


def duckdb_memory(job):
    db = connect(job["work"])
    duckdb_rows(db, job)
    duckdb_load(db, job, "TABLE")
    statements = duck.sql(SETS[job["set"]], {s: s for s in STREAMS}, job["variant"], "")

    def once():
        for q in statements[:-1]:
            db.execute(q)
        db.execute("CREATE OR REPLACE TEMP TABLE result AS " + statements[-1])

    return once


def duckdb_files(job):
    db = connect(job["work"])
    duckdb_rows(db, job)
    # Levels and numbers of customers are looked up while the files are read;
    # a table of events in between was slower.
    duckdb_load(db, job, "VIEW")
    statements = duck.sql(SETS[job["set"]], {s: s for s in STREAMS}, job["variant"], job["check"])
    for q in statements[:-1]:
        db.execute(q)
    db.execute(f"COPY (SELECT customer_id, make_timestamptz(t) AS as_of, * EXCLUDE (c, t) FROM ({statements[-1]}) JOIN customers USING (c)) "
               f"TO '{job['out']}' (FORMAT parquet, COMPRESSION zstd)")


def polars_frames(job):
    import polars as pl

    read = pl.scan_parquet if job["format"] == "parquet" else lambda p: pl.scan_csv(p, try_parse_dates=True, schema_overrides={
        c: pl.Float64 for c in ("value", "amount", "severity")} | {c: pl.String for c in ("recorded_at", "resolved_recorded_at", "paid_recorded_at", "status_at")})
    frame = lambda t: read(os.path.join(job["tables"], f"{t}.{job['format']}"))
    customers = frame("customers").select("customer_id", left_at=pl.col("churned_at").dt.epoch("us")).sort("customer_id").with_row_index("c").collect()
    number = customers.lazy().select("c", "customer_id")
    rows = (customers.lazy().join(pl.LazyFrame({"t": job["snapshots"]}), how="cross")
            .filter(pl.col("left_at").is_null() | (pl.col("left_at") >= pl.col("t"))).select("c", "t"))
    events = {}
    for s, (at, field, level) in STREAMS.items():
        events[s] = frame(s).select("customer_id", h=pl.col(at).dt.epoch("us"), v=pl.col(field), kind=pl.col(level) if level else pl.lit(None)).join(
            number, on="customer_id").select("c", "h", "v", "kind")
    return pl, customers, rows, events


def polars_memory(job):
    from polar import plan

    pl, _, rows, events = polars_frames(job)
    rows = rows.collect().lazy()
    events = {s: e.with_columns(pl.col("kind").cast(pl.Categorical) if STREAMS[s][2] else pl.col("kind")).sort("c", "h").collect().lazy() for s, e in events.items()}
    # The streaming engine; the other was slower.
    return lambda: plan(SETS[job["set"]], events, rows, job["snapshots"]).collect(engine=job.get("engine", "streaming"))


def polars_files(job):
    from polar import plan

    pl, customers, rows, events = polars_frames(job)
    out = plan(SETS[job["set"]], events, rows, job["snapshots"], not job["check"])
    out = out.join(customers.lazy().select("c", "customer_id"), on="c").with_columns(as_of=pl.from_epoch("t", time_unit="us").dt.replace_time_zone("UTC")).drop("c", "t")
    out.collect(engine=job.get("engine", "streaming")).write_parquet(job["out"], compression="zstd", compression_level=1)


def main():
    how, who, text = sys.argv[1:]
    job = json.loads(text)
    if how == "files":
        {"duckdb": duckdb_files, "polars": polars_files}[who](job)
        return
    once = {"duckdb": duckdb_memory, "polars": polars_memory}[who](job)
    print("{}", flush=True)
    for _ in sys.stdin:
        wall, spent = time.perf_counter(), cpu()
        once()
        print(json.dumps({"wall": time.perf_counter() - wall, "cpu": cpu() - spent}), flush=True)


if __name__ == "__main__":
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    main()
