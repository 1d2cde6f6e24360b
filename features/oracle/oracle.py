"""Holds the features of churn against DuckDB, and the documented ways to read a
matrix against what is documented.

    make oracle
    python oracle.py [path of churn]

Two worlds, one simulated with events that are recorded late, one drawn here of
ties, gaps and payments of every kind. DuckDB computes the default catalogue
from their CSV files (features.sql), and which observations there are. Counts,
maxima, minima and values of single events must be equal as float32; all else
within 1e-9 of the value, before it is rounded to float32.
"""

import csv
import hashlib
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
CHURN = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "bin" / "churn"
TABLES = "customers", "engagement", "complaints", "payments", "contacts"
DAY = 86_400_000_000

# Features that are no count, maximum, minimum or value of one event: sums and
# what is divided or rooted.
ROUNDED = re.compile(r"_sum|_mean|_amt|_rate|_slope|_relslope|_std|_cv|_silence|_per_|_missed|_chg|_trend|_ttr_")


def churn(*arguments, cwd) -> str:
    run = subprocess.run([CHURN, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"churn {' '.join(map(str, arguments))}: {run.stderr}")
    return run.stderr


def rough(directory: Path) -> None:
    """Writes a world without sense: many events at the same instants, values and
    categories that are missing, everything recorded sooner or later."""
    draw = random.Random(7)
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)

    def at(text=True, spread=730):
        moment = start + timedelta(hours=12 * draw.randrange(2 * spread))
        if draw.random() < 0.5:
            moment += timedelta(microseconds=draw.randrange(43_200_000_000))
        return moment.isoformat() if text else moment

    def later(moment, chance, days):
        return (moment + timedelta(days=days * draw.random() ** 3)).isoformat() if draw.random() < chance else ""

    def table(name, header, rows):
        with open(directory / f"{name}.csv", "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(header.split())
            out.writerows(rows)

    ids = [f"R{i:03}" for i in range(120)]
    signed = {i: start - timedelta(days=draw.randrange(300)) for i in ids}
    table("customers", "customer_id signed_up_at churned_at churn_reason plan seats",
          [[i, signed[i].isoformat(), later(start + timedelta(days=300), 0.6, 600), draw.choice(["", "price", "moved"]),
            draw.choice(["", "basic", "plus", 'of "all" kinds, really']), draw.choice(["", 1, 2.5])] for i in ids])
    engagement, complaints, payments, contacts = [], [], [], []
    for who in ids:
        for k in range(draw.choice([0, 1, 5, 200])):
            t = at(False)
            engagement.append([f"{who}-e{k}", who, t.isoformat(), draw.choice("abcdefghijkl") * draw.randrange(1, 3),
                               draw.choice(["", round(draw.uniform(-50, 500), 6)]), later(t, 0.3, 90)])
        for k in range(draw.choice([0, 1, 3, 12])):
            t = at(False)
            done = later(t, 0.6, 60)
            complaints.append([f"{who}-c{k}", who, t.isoformat(), draw.choice(["", "billing", "product"]), draw.choice(["", 1, 4, 5]), done,
                               draw.choice(["", 1, 3, 5]) if done else "", later(t, 0.3, 30),
                               later(datetime.fromisoformat(done), 0.3, 30) if done else ""])
        for k in range(draw.choice([0, 1, 3, 30])):
            due, kind = at(False), draw.random()
            paid = (due + timedelta(days=draw.choice([-3, 0, 1, 3, 4, 60]))).isoformat() if kind < 0.8 else ""
            known = later(datetime.fromisoformat(paid), 0.3, 20) if paid else ""
            row = [f"{who}-p{k}", who, due.isoformat(), round(draw.uniform(0, 99), 2), draw.choice(["EUR", "USD"])]
            if kind < 0.1:  # a purchase
                row[2] = ""
                payments.append([*row, "", paid, "", "", known])
                continue
            recorded = later(due, 0.3, 20)
            if kind < 0.6:
                payments.append([*row, "", paid, "", recorded, known])
            for status in ("failed", "refunded"):
                if kind >= 0.6 and draw.random() < 0.7:
                    payments.append([*row, status, paid, (due + timedelta(days=draw.randrange(20))).isoformat(), recorded, known])
        for k in range(draw.choice([0, 0, 3])):
            t = at(False)
            contacts.append([f"{who}-n{k}", who, t.isoformat(), "call", later(t, 0.3, 30)])
    table("engagement", "event_id customer_id occurred_at kind value recorded_at", engagement)
    table("complaints", "event_id customer_id opened_at category severity resolved_at satisfaction recorded_at resolved_recorded_at", complaints)
    table("payments", "event_id customer_id due_at amount currency status paid_at status_at recorded_at paid_recorded_at", payments)
    table("contacts", "event_id customer_id occurred_at action recorded_at", contacts)
    sources = "".join(f"  {t}: [{{path: {t}.csv}}]\n" for t in TABLES)
    (directory / "churn.yaml").write_text(
        f"clock: 2027-01-01T00:00:00Z\nsources:\n{sources}churn: {{kind: contract, gap: 7d, horizon: 30d, active_within: 0d, min_tenure: 0d}}\n"
        "attributes: [{name: plan, type: category}, {name: seats, type: number}]\n"
        "training: {through: 2026-01-15}\n")


def read(path: Path):
    """The columns of a matrix, missing numbers as NaN, and what it says of itself."""
    file = pq.read_table(path)
    said = json.loads(pq.read_metadata(path).metadata[b"churn"])
    columns = {n: file[n].to_numpy() for n in file.column_names}
    columns["t"] = file["as_of"].cast("int64").to_numpy()
    return columns, said


def checksum(columns, said) -> str:
    """The sum of the fingerprints of the rows, as documented."""
    values = []
    for c in said["columns"]:
        if c["kind"] == "number":
            v = columns[c["name"]].astype("<f4").copy()
            v[np.isnan(v)] = np.nan
        else:
            codes = {level: i for i, level in enumerate(c.get("levels", []))}
            v = np.array([np.nan if x is None else codes.get(x, -1) for x in columns[c["name"]]], "<f4")
        values.append(v)
    matrix = np.stack(values, axis=1).view("<u4")
    matrix[matrix & 0x7FFFFFFF > 0x7F800000] = 0x7FC00000
    total = 0
    for who, t, row in zip(columns["customer_id"], columns["t"], matrix):
        digest = hashlib.sha256(who.encode() + b"\0" + struct.pack("<q", t) + row.tobytes()).digest()
        total += int.from_bytes(digest[:8], "little")
    return f"{total % 2**64:016x}"


def observations(db, said):
    """Who is observed when, with the label: contract, no eligibility but being a customer."""
    d = said["definition"]
    assert d["kind"] == "contract"
    day = lambda text: int(text.removesuffix("d")) * DAY
    gap, horizon = day(d["gap"]), day(d["horizon"])
    db.execute("CREATE TABLE snapshots AS SELECT us(unnest(?)) AS t", [said["snapshots"]])
    return db.sql(f"""
        SELECT customer_id, t, coalesce(left_at < t + {gap + horizon}, false) AS churned
        FROM customers, snapshots WHERE signed < t AND coalesce(left_at >= t + {gap}, true)
        ORDER BY customer_id, t""").fetchall()


def compare(name, got, want) -> str:
    """Says in what a column differs; empty if in nothing."""
    if got.dtype == object:
        bad = [i for i, (a, b) in enumerate(zip(got, want)) if a != b]
    else:
        want = np.array([np.nan if w is None else float(w) for w in want])
        exact = want.astype(np.float32)
        close = np.zeros(len(want), bool)
        if ROUNDED.search(name):
            room = 1e-9 * np.abs(want) + 0.5000001 * np.spacing(np.abs(exact)).astype(float)
            close = np.abs(got.astype(float) - want) <= room
        bad = np.flatnonzero(~((got == exact) | close | np.isnan(got) & np.isnan(exact)))
    if len(bad) == 0:
        return ""
    i = bad[0]
    return f"{len(bad)} of {len(got)} values differ; row {i} has {got[i]!r}, DuckDB {want[i]!r}"


def build(stream: bytes, through: str, directory: Path):
    """What build --arrow makes of a stream."""
    return subprocess.run([CHURN, "features", "build", "--arrow", "--features", "locked.yaml", "--labels", "--through", through],
                          cwd=directory, input=stream, capture_output=True)


def cut(ids: list, parts: int):
    """Divides rows where a customer begins."""
    at = [i * len(ids) // parts for i in range(parts)]
    for i in range(1, parts):
        while ids[at[i]] == ids[at[i] - 1]:
            at[i] += 1
    return zip(at, at[1:] + [len(ids)])


def streams(db, directory: Path, said) -> str:
    """Runs build --arrow on what pyarrow writes, whole and in parts, and reads
    the rows with pyarrow: they must be those of the matrix. Says what is wrong."""
    names = [c["name"].removeprefix("cus_") for c in said["columns"] if "attribute " in c["computed"]]
    pairs = ", ".join(f"'{n}': {n}" for n in names)
    db.execute(f"CREATE TABLE attributes AS SELECT customer_id, MAP {{{pairs}}} AS attributes FROM customers")
    events = db.sql((Path(__file__).parent / "events.sql").read_text()).to_arrow_table()
    churn("features", "lock", "--out", "locked.yaml", "--quiet", cwd=directory)
    matrix = pq.read_table(directory / "matrix.parquet")
    coded = events.set_column(1, "type", events["type"].combine_chunks().dictionary_encode())
    for table, parts, compression in (events, 1, None), (coded, 3, "zstd"):
        rows, total = [], 0
        for first, end in cut(events["customer_id"].to_pylist(), parts):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as out:
                out.write_table(table.slice(first, end - first), max_chunksize=7000 // parts)
            stream = sink.getvalue().to_pybytes()
            run = build(stream, said["through"], directory)
            if run.returncode != 0:
                return run.stderr.decode()
            rows.append(pa.ipc.open_stream(run.stdout).read_all())
            total += int(json.loads(run.stderr)["checksum"], 16)
        whole = pa.concat_tables(rows)
        if not whole.equals(matrix):
            differ = [n for n in matrix.column_names if n not in whole.column_names or not whole[n].equals(matrix[n])]
            return f"in {parts} parts: {whole.num_rows} rows, the matrix has {matrix.num_rows}; columns that differ: {differ}"
        if f"{total % 2**64:016x}" != said["checksum"]:
            return f"in {parts} parts: the checksums do not add up to that of the matrix"
        if json.loads(whole.schema.metadata[b"churn"])["columns"] != said["columns"]:
            return f"in {parts} parts: another description of the columns"
    run = build(stream[:-8], said["through"], directory)  # without the mark of its end
    try:
        pa.ipc.open_stream(run.stdout).read_all()
        return "rows of a stream that was cut short look whole"
    except (pa.ArrowInvalid, OSError):
        return "" if run.returncode == 1 else f"a stream that was cut short: exit code {run.returncode}"


def world(name: str, directory: Path) -> bool:
    churn("import", "--quiet", cwd=directory)
    churn("features", "build", "--out", "matrix.parquet", "--labels", "--quiet", cwd=directory)
    columns, said = read(directory / "matrix.parquet")
    problems = []
    db = duckdb.connect()
    for t in TABLES:
        db.execute(f"CREATE VIEW {t}_csv AS FROM read_csv('{directory / t}.csv', all_varchar = true, header = true)")
    db.execute("CREATE TABLE rows (customer_id VARCHAR, t BIGINT)")
    db.execute("INSERT INTO rows SELECT customer_id, epoch_us(as_of) FROM read_parquet(?)", [str(directory / "matrix.parquet")])
    db.execute((Path(__file__).parent / "features.sql").read_text())
    want = observations(db, said)
    if want != list(zip(columns["customer_id"], columns["t"].tolist(), columns["churned"].tolist())):
        problems.append(f"observations: {len(columns['t'])} rows, DuckDB has {len(want)}, or the labels differ")
    if checksum(columns, said) != said["checksum"]:
        problems.append("the checksum is not that of the rows")
    expected = db.sql("FROM expected ORDER BY customer_id, t").fetchnumpy()
    known = {n: expected[n] for n in expected}
    compared = 0
    for c in said["columns"]:
        n = c["name"]
        if "attribute " in c["computed"]:
            attribute = n.removeprefix("cus_")
            values = [r[0] for r in db.sql(f"SELECT {attribute} FROM rows JOIN customers USING (customer_id) ORDER BY customer_id, t").fetchall()]
        elif kind := re.search(r'where kind == "(.*)" in', c["computed"]):
            of = n.removeprefix("eng_").removeprefix(kind[1] + "_")
            empty = "NULL" if of == "rec" else "0"
            values = [r[0] for r in db.sql(f"SELECT coalesce({of}, {empty}) FROM rows LEFT JOIN (FROM kind_features WHERE kind = '{kind[1]}') "
                                           "USING (customer_id, t) ORDER BY customer_id, t").fetchall()]
        elif n in known:
            v = known[n]
            values = [None if m else x for x, m in zip(v.data, v.mask)] if isinstance(v, np.ma.MaskedArray) else list(v)
        else:
            problems.append(f"{n}: not in features.sql")
            continue
        compared += 1
        if problem := compare(n, columns[n], values):
            problems.append(f"{n}: {problem}")
    if problem := streams(db, directory, said):
        problems.append(f"build --arrow: {problem}")
    print(f"{name}: {said['rows']} rows, {compared} of {len(said['columns'])} features compared with DuckDB {duckdb.__version__}, {len(problems)} problems")
    for p in problems:
        print("  " + p)
    return not problems


def documented(directory: Path) -> bool:
    """Runs the Python and the shell commands of docs/features.md beside a matrix."""
    blocks = re.findall(r"```(python|sh)\n(.*?)```", (ROOT / "docs" / "features.md").read_text(), re.S)
    (directory / "bin").mkdir()
    (directory / "bin" / "churn").symlink_to(CHURN)
    path = f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for language, block in blocks:
        command = [sys.executable, "-W", "error", "-c"] if language == "python" else ["sh", "-euc"]
        run = subprocess.run([*command, block], cwd=directory, env=os.environ | {"PATH": path}, capture_output=True, text=True)
        if run.returncode != 0:
            print(f"docs/features.md: {run.stderr}\n{block}")
            return False
    print(f"docs/features.md: {len(blocks)} blocks run")
    return len(blocks) > 0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="oracle-") as work:
        late, drawn = Path(work) / "late", Path(work) / "rough"
        churn("simulate", "--out", late, "--world", "late", "--customers", 400, "--quiet", cwd=work)
        drawn.mkdir()
        rough(drawn)
        return 0 if all([world("simulated, recorded late", late), world("rough", drawn), documented(late)]) else 1


if __name__ == "__main__":
    sys.exit(main())
