"""Holds the features of churn against DuckDB, and the documented ways to read a
matrix against what is documented.

    make oracle
    python oracle.py [path of churn]

Two worlds, one simulated with events that are recorded late, one drawn in
rough.py of ties, gaps and payments of every kind. DuckDB computes the default
catalogue from their CSV files, and which observations there are; in the second
also what rough.py declares. features.sql says what the streams and aggregates
are, this file asks it for each feature as the matrix declares it. All must be
equal as float32, but for ROUNDED.
"""

import hashlib
import itertools
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from rough import ROOT, TABLES, rough

CHURN = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "bin" / "churn"
DAY = 86_400_000_000

# The texts that say of what kind an item is.
KIND = {"engagement": "kind", "complaints": "category", "payments": "currency", "contacts": "action", "attributes": "attribute"}

# The whole sub-units of fields; of all others a millionth.
PER = {"hours_to_resolve": 3_600_000_000, "days_late": DAY, "days_early": DAY, "age_days": DAY}

# Aggregates and functions that take a root, a sine or a logarithm: these, and
# what is computed from them, are within 1e-9 of the value before it is rounded to
# float32.
ROUNDED = {"std", "gap_std", "season_sin", "season_cos", "log1p"}

# Functions of a and b, whose windows in days are u and v; None is missing.
FUNCTIONS = {
    "ratio": lambda a, b, u, v: a / b if b else None,
    "rate_ratio": lambda a, b, u, v: (a / u + 1 / v) / ((b - a) / (v - u) + 1 / v),
    "relative_slope": lambda a, b, u, v: a * u / (b / v + 1 / v),
    "diff": lambda a, b, u, v: a - b,
    "times": lambda a, b, u, v: a * b,
    "per": lambda a, b, u, v: a / (b + 1),
    "growth": lambda a, b, u, v: (a + 1) / (b + 1),
    "per_day": lambda a, u: a / u,
    "log1p": lambda a, u: math.log1p(a) if a >= 0 else None,
    "least": lambda a, b, u, v: min((x for x in (a, b) if x is not None), default=None),
    "coalesce": lambda a, b, u, v: b if a is None else a,
}


def churn(*arguments, cwd) -> str:
    run = subprocess.run([CHURN, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"churn {' '.join(map(str, arguments))}: {run.stderr}")
    return run.stderr


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


def compare(exactly, got, want) -> str:
    """Says in what a column differs; empty if in nothing."""
    if got.dtype == object:
        bad = [i for i, (a, b) in enumerate(zip(got, want)) if a != b]
    else:
        want = np.array([np.nan if w is None else float(w) for w in want])
        exact = want.astype(np.float32)
        close = np.zeros(len(want), bool)
        if not exactly:
            room = 1e-9 * np.abs(want) + 0.5000001 * np.spacing(np.abs(exact)).astype(float)
            close = np.abs(got.astype(float) - want) <= room
        bad = np.flatnonzero(~((got == exact) | close | np.isnan(got) & np.isnan(exact)))
    if len(bad) == 0:
        return ""
    i = bad[0]
    return f"{len(bad)} of {len(got)} values differ; row {i} has {got[i]!r}, DuckDB {want[i]!r}"


def compute(db, declared):
    """Every feature of a set by its name: its values, and whether they are to be equal in every bit."""
    known, queries, days = {}, {}, {}
    for c in declared.get("attributes", []):
        known["cus_" + safe(c["name"])] = attribute(db, c)
    for d in declared["features"]:
        for window in d.get("windows", [None]):
            for level in d["levels"] if "by" in d else [None]:
                name = d["name"].replace("{w}", (window or "").removesuffix("d")).replace("{by}", safe(level or ""))
                known[name] = None  # in the order of the declaration
                if window:
                    days[name] = int(window.removesuffix("d"))
                    queries.setdefault(items(d, level, window), []).append((name, d))
                elif "expr" not in d:
                    known[name] = filled(ordered(db, f"FROM {d['from']}", d["agg"])[d["agg"]], d), d["agg"] not in ROUNDED
    for (view, call), wanted in queries.items():
        db.execute(f"CREATE OR REPLACE TEMP VIEW items AS {view}")
        columns = ordered(db, f"FROM {call}", *{d["agg"] for _, d in wanted})
        for name, d in wanted:
            known[name] = filled(columns[d["agg"]], d), d["agg"] not in ROUNDED
    for d in declared["features"]:
        if "expr" in d:
            known[d["name"]] = function(d, known, days)
    return known


def safe(level):
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", level).strip("_") or "_"


def ordered(db, source, *columns):
    """Columns by name, for all rows in order, missing values as None."""
    rows = db.sql(f"SELECT {', '.join(columns)} {source} ORDER BY customer_id, t").fetchall()
    return dict(zip(columns, zip(*rows)))


def filled(values, d):
    return [d.get("fill") if v is None else v for v in values]


def condition(text):
    """A condition in SQL, where a comparison with nothing does not hold."""
    terms = []
    for term in text.split(" and "):
        no, term = term.startswith("not "), term.removeprefix("not ").replace('"', "'")
        terms.append(f"{'NOT ' * no}coalesce({term}, false)")
    return " AND ".join(terms)


def items(d, level, window):
    """The items of a feature, and the window of them."""
    agg, field, conditions, yes = d["agg"], d.get("field"), ["true"], "true"
    text = agg in ("kinds", "top_share", "repeats")
    if agg in ("rate", "run"):
        yes = condition(d["where"])
    elif "where" in d:
        conditions.append(condition(d["where"]))
    if agg == "share":
        yes = f"{d['by']} = '{level}'"
    elif level is not None:
        conditions.append(f"{d['by']} = '{level}'")
    per = PER.get(field, 1_000_000)
    view = f"""SELECT customer_id, t, id, happened, known, {text and field or KIND[d["from"]]} AS kind, {yes} AS yes,
               {"NULL" if text or not field else f"({field} * {per})"}::BIGINT AS value FROM seen('{d["from"]}') WHERE {" AND ".join(conditions)}"""
    return view, f"every('items', {window.removesuffix('d')}, {d.get('offset', '0d').removesuffix('d')}, {per})"


def attribute(db, c):
    """An attribute of the customer, or of the attributes table as it was known at t."""
    if c.get("history"):
        source = f"""FROM (SELECT customer_id, t, last(text ORDER BY happened, known, text) AS said FROM attributes_at
                           WHERE attribute = '{c["name"]}' GROUP BY customer_id, t)"""
    else:
        source = f"FROM (SELECT customer_id, {c['name']} AS said FROM customers)"
    value = {"number": "try_cast(said AS DOUBLE)", "category": "nullif(said, '')",
             "date": "(epoch_us(try_cast(said AS TIMESTAMPTZ)) - t)::DOUBLE / days(1)"}[c["type"]]
    values = ordered(db, f"{source} RIGHT JOIN rows USING ({'customer_id, t' if c.get('history') else 'customer_id'})", value)
    return filled(*values.values(), c), True


def function(d, known, days):
    name, *arguments = re.findall(r"[\w.-]+", d["expr"])
    windows = [days.get(a) for a in arguments]
    columns = [known[a] if a in known else (itertools.repeat(float(a)), True) for a in arguments]
    values = [None if None in row and name not in ("least", "coalesce") else FUNCTIONS[name](*row, *windows)
              for row in zip(*(values for values, _ in columns))]
    return filled(values, d), name not in ROUNDED and all(exactly for _, exactly in columns)


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
    names = [c["name"] for c in yaml.safe_load(said["features"]).get("attributes", []) if not c.get("history")]
    pairs = ", ".join(f"'{n}': {n}" for n in names)
    db.execute(f"CREATE TABLE described AS SELECT customer_id, MAP {{{pairs}}} AS attributes FROM customers")
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
    db = duckdb.connect(config={"threads": 1, "python_enable_replacements": False})
    if not (directory / "attributes.csv").exists():
        (directory / "attributes.csv").write_text("event_id,customer_id,valid_from,recorded_at,none\n")
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
    expected = compute(db, yaml.safe_load(said["features"]))
    names = [c["name"] for c in said["columns"]]
    if names != list(expected):
        problems.append(f"columns: {[n for n in names if n not in expected]} are not declared, {[n for n in expected if n not in names]} not there")
    for n, (values, exactly) in expected.items():
        if n in columns and (problem := compare(exactly, columns[n], values)):
            problems.append(f"{n}: {problem}")
    if problem := streams(db, directory, said):
        problems.append(f"build --arrow: {problem}")
    print(f"{name}: {said['rows']} rows, {len(expected)} features compared with DuckDB {duckdb.__version__}, {len(problems)} problems")
    for p in problems:
        print("  " + p)
    return not problems


def blocks_of(page: str):
    return re.findall(r"```(python|sh)\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)


def notebook(directory: Path) -> bool:
    """Runs docs/notebook.md on a world with ids that are easily misread, and holds
    what it reads against the scores as NDJSON."""
    churn("simulate", "--out", directory, "--customers", 1200, "--quiet", cwd=directory.parent)
    for path in directory.glob("*.csv"):
        path.write_text(path.read_text().replace("C0000003", "NA").replace("C0000", "0000"))
    churn("import", "--quiet", cwd=directory)
    churn("train", "--promote", "--force", "--reason", "to be read", "--quiet", cwd=directory)
    blocks = blocks_of("notebook.md")
    python = [block for language, block in blocks if language == "python"]
    for command in [block for language, block in blocks if language == "sh"]:
        for line in command.splitlines():
            churn(*line.removeprefix("churn ").split(), "--quiet", cwd=directory)
    run = subprocess.run([sys.executable, "-W", "error", "-c", "\n".join([*python, (Path(__file__).parent / "notebook.py").read_text()])],
                         cwd=directory, capture_output=True, text=True)
    print(f"docs/notebook.md: {len(blocks)} blocks run" if run.returncode == 0 else f"docs/notebook.md: {run.stderr}")
    return run.returncode == 0 and len(python) > 0


def documented(directory: Path) -> bool:
    """Runs the Python and the shell commands of docs/features.md beside a matrix."""
    blocks = blocks_of("features.md")
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
        return 0 if all([world("simulated, recorded late", late), world("rough", drawn), documented(late), notebook(Path(work) / "notebook")]) else 1


if __name__ == "__main__":
    sys.exit(main())
