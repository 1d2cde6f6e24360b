"""The features of a set in SQL, as fast as we could make DuckDB compute them.

Events are summed up by customer and cell, the days between two neighbours among
all beginnings and ends of windows; then the cells of each window are put
together for every row. What else was tried, and was slower: see VARIANTS.
"""

from sets import STREAMS, WINDOWS

DAY = 86_400_000_000
# How gaps are found, how levels are told apart, how cells are put together.
VARIANTS = {
    "filters": "one aggregate with a FILTER for each level; rows joined with their cells, a FILTER for each window",
    "by level": "cells by level for what is asked of levels; the rest as above",
    "days first": "events summed up by day, then days by cell",
    "direct": "no cells: rows joined with all events, a FILTER for each window",
}


def boundaries(snapshots):
    """The first day of each cell, from days since 1970, and the one after the last."""
    days = {t // DAY - w for t in snapshots for w in (0, *WINDOWS)}
    return sorted(days)


def setup(db, snapshots):
    """Tables of instants and cells."""
    bounds = boundaries(snapshots)
    db.execute("CREATE OR REPLACE TABLE cell_of (d INTEGER, k INTEGER)")
    db.execute("INSERT INTO cell_of SELECT d, (SELECT count(*) FROM unnest(?::INTEGER[]) b(x) WHERE x <= d) FROM range(?, ?) r(d)",
               [bounds, bounds[0], bounds[-1]])
    columns = ", ".join(f"lo{w} INTEGER" for w in WINDOWS)
    db.execute(f"CREATE OR REPLACE TABLE instants (t BIGINT, hi INTEGER, {columns})")
    cell = lambda day: sum(b <= day for b in bounds)
    for t in snapshots:
        db.execute("INSERT INTO instants VALUES (?, ?" + ", ?" * len(WINDOWS) + ")",
                   [t, cell(t // DAY), *(cell(t // DAY - w) for w in WINDOWS)])


# Of each aggregate: measures of a cell, and how those of a window are put together.
def measure(f):
    return f"_{f.level}" if f.level else "_hi" if f.severe else ""


def parts(f):
    """(name of the measure, SQL of a cell, how cells are merged)"""
    x = measure(f)
    return {
        "count": [(f"n{x}", "count(*)", "sum")],
        "sum": [(f"s{x}", "sum(v)", "sum")],
        "mean": [("s", "sum(v)", "sum"), ("m", "count(v)", "sum")],
        "max": [("mx", "max(v)", "max")],
        "min": [("mn", "min(v)", "min")],
        "recency": [(f"h1{x}", "max(h)", "max")],
        "first": [("h0", "min(h)", "min")],
        "days": [("nd", "count(*) FILTER (fresh)", "sum")],
        "slope": [("n", "count(*)", "sum"), ("sd", "sum(d)", "sum")],
        "gap_mean": [("g", "sum(gap)", "sum"), ("gn", "count(gap)", "sum")],
        "gap_std": [("g", "sum(gap)", "sum"), ("g2", "sum(gap * gap)", "sum"), ("gn", "count(gap)", "sum")],
        "gap_max": [("gx", "max(gap)", "max")],
    }[f.agg]


def condition(f):
    return f"kind = '{f.level}'" if f.level else "v >= 4" if f.severe else ""


def value(f):
    """The value of a feature, from the measures of its window."""
    w = f.window
    p = {name: f"{name}_{w}" for name, _, _ in parts(f)}
    one = next(iter(p.values()))
    n = w
    return {
        "count": f"coalesce({one}, 0)",
        "sum": f"coalesce({one}, 0)",
        "mean": f"{p.get('s')} / nullif({p.get('m')}, 0)",
        "max": one, "min": one,
        "recency": f"(t - {one}) / {DAY}.0",
        "first": f"(t - {one}) / {DAY}.0",
        "days": f"coalesce({one}, 0)",
        # x is d - t/DAY + w, from 0 to w-1
        "slope": f"({n}::DOUBLE * (coalesce({p.get('sd')}, 0) - coalesce({p.get('n')}, 0) * (t // {DAY} - {w})) - coalesce({p.get('n')}, 0) * {n * (n - 1) // 2}) "
                 f"/ {n * ((n - 1) * n * (2 * n - 1) // 6) - (n * (n - 1) // 2) ** 2}",
        "gap_mean": f"{p.get('g')} / nullif({p.get('gn')}, 0)",
        "gap_std": f"CASE WHEN {p.get('gn')} > 1 THEN sqrt(greatest(0, ({p.get('g2')} - {p.get('g')} * {p.get('g')} / {p.get('gn')}) / ({p.get('gn')} - 1))) END",
        "gap_max": one,
    }[f.agg]


def expression(text, windows):
    name, arguments = text.rstrip(")").split("(")
    a, b = (arguments.split(", ") + [""])[:2]
    u, v = windows.get(a), windows.get(b)
    return {
        "rate_ratio": f"({a} / {u} + 1.0 / {v}) / (({b} - {a}) / ({v} - {u}) + 1.0 / {v})" if v else "",
        "relative_slope": f"{a} * {u} / ({b} / {v} + 1.0 / {v})" if v else "",
        "ratio": f"{a} / nullif({b}, 0)",
        "per_day": f"{a} / {u}.0",
        "times": f"{a} * {b}",
        "per": f"{a} / ({b} + 1.0)",
    }[name]


def sql(features, events, variant, into):
    """Statements that compute the set for all rows(c, t). events names the
    relation of each stream: (c, h, v, kind), h in microseconds."""
    out, columns, joins = [], [], []
    for stream in STREAMS:
        mine = [f for f in features if f.stream == stream]
        measures, needed = {}, {}
        for f in mine:
            for name, cell, merge in parts(f):
                if (c := condition(f)) and name.endswith(measure(f)):
                    cell += f" FILTER ({c})"
                measures[name] = (cell, merge)
                needed[name, f.window] = merge
        gaps = any(f.agg.startswith("gap") or f.agg == "days" for f in mine)
        inner = "SELECT *, (h // 86400000000)::INTEGER AS d FROM " + events[stream]
        if gaps:
            inner = ("SELECT *, (h - before) / 86400000000.0 AS gap, before IS NULL OR before // 86400000000 <> d AS fresh FROM "
                     f"(SELECT *, lag(h) OVER (PARTITION BY c ORDER BY h) AS before FROM ({inner}))")
        cells = f"cells_{stream}"
        levels = {n: m for n, m in measures.items() if "kind = " in m[0]} if variant == "by level" else {}
        plain = {n: m for n, m in measures.items() if n not in levels}
        if variant == "direct":
            # The window of an event is told by its cell here as well.
            names = ", ".join(f"{w}(" for w in ())
            out.append(f"CREATE OR REPLACE TEMP TABLE {cells} AS SELECT c, k, h, v, {'kind, ' if STREAMS[stream][2] else ''}d, "
                       f"{'gap, fresh' if gaps else 'NULL AS gap'} FROM ({inner}) JOIN cell_of USING (d)")
            merged = []
            for (name, w), merge in needed.items():
                cell = measures[name][0]
                inside = f"k >= lo{w}"
                cell = cell.replace("FILTER (", f"FILTER ({inside} AND ") if "FILTER (" in cell else f"{cell} FILTER ({inside})"
                merged.append(f"{cell} AS {name}_{w}")
        else:
            if variant == "days first":
                remerge = {"sum": "sum", "max": "max", "min": "min"}
                first = ", ".join(f"{cell} AS {n}" for n, (cell, _) in plain.items() if n not in ("sd",))
                second = ", ".join("sum(d * n) AS sd" if n == "sd" else f"{remerge[m]}({n}) AS {n}" for n, (_, m) in plain.items())
                if "sd" in plain and "n" not in plain:
                    first += ", count(*) AS n"
                out.append(f"CREATE OR REPLACE TEMP TABLE {cells} AS SELECT c, k, {second} FROM (SELECT c, d, {first} FROM ({inner}) GROUP BY c, d) "
                           "JOIN cell_of USING (d) GROUP BY c, k")
            else:
                first = ", ".join(f"{cell} AS {n}" for n, (cell, _) in plain.items())
                out.append(f"CREATE OR REPLACE TEMP TABLE {cells} AS SELECT c, k, {first} FROM ({inner}) JOIN cell_of USING (d) GROUP BY c, k")
            merged = [f"{merge}({name}) FILTER (k >= lo{w}) AS {name}_{w}" for (name, w), merge in needed.items() if name in plain]
        relation = f"of_{stream}"
        out.append(f"CREATE OR REPLACE TEMP TABLE {relation} AS SELECT c, t, {', '.join(merged)} FROM rows JOIN instants USING (t) "
                   f"JOIN {cells} USING (c) WHERE k < hi AND k >= lo365 GROUP BY c, t")
        joins.append(f"LEFT JOIN {relation} USING (c, t)")
        if levels:
            of = {}
            for f in mine:
                if f.level:
                    for name, cell, merge in parts(f):
                        of[name.removesuffix(measure(f))] = (cell, merge)
            first = ", ".join(f"{cell} AS {n}" for n, (cell, _) in of.items())
            out.append(f"CREATE OR REPLACE TEMP TABLE {cells}_level AS SELECT c, k, kind, {first} FROM (SELECT *, (h // 86400000000)::INTEGER AS d FROM {events[stream]}) "
                       "JOIN cell_of USING (d) GROUP BY c, k, kind")
            merged = []
            for f in mine:
                if f.level:
                    for name, _, merge in parts(f):
                        merged.append(f"{merge}({name.removesuffix(measure(f))}) FILTER (kind = '{f.level}' AND k >= lo{f.window}) AS {name}_{f.window}")
            out.append(f"CREATE OR REPLACE TEMP TABLE {relation}_level AS SELECT c, t, {', '.join(dict.fromkeys(merged))} FROM rows JOIN instants USING (t) "
                       f"JOIN {cells}_level USING (c) WHERE k < hi AND k >= lo365 GROUP BY c, t")
            joins.append(f"LEFT JOIN {relation}_level USING (c, t)")
    windows = {f.name: f.window for f in features if not f.expr}
    inner = []
    for f in features:
        if not f.expr:
            q = value(f)
            short = {"engagement": "of_engagement", "payments": "of_payments", "complaints": "of_complaints"}[f.stream]
            for name, _, _ in parts(f):
                table = short + ("_level" if variant == "by level" and f.level else "")
                q = q.replace(f"{name}_{f.window}", f"{table}.{name}_{f.window}") if f"{table}.{name}_{f.window}" not in q else q
            inner.append(f"({q})::DOUBLE AS {f.name}")
    relation = f"SELECT c, t, {', '.join(inner)} FROM rows {' '.join(joins)}"
    for f in features:
        if f.expr:
            relation = f"SELECT *, ({expression(f.expr, windows)})::DOUBLE AS {f.name} FROM ({relation})"
            windows[f.name] = 0
    names = ", ".join(f"{f.name}::FLOAT AS {f.name}" for f in features) if into != "check" else ", ".join(f.name for f in features)
    out.append(f"SELECT c, t, {names} FROM ({relation})")
    return out
