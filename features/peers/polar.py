"""The features of a set in polars: the same plan as the SQL, as lazy frames."""

import polars as pl

from duck import DAY, boundaries, condition, measure
from sets import STREAMS, WINDOWS

CELL = {
    "n": (lambda: pl.len(), "sum"), "s": (lambda: pl.col("v").sum(), "sum"), "m": (lambda: pl.col("v").count(), "sum"),
    "mx": (lambda: pl.col("v").max(), "max"), "mn": (lambda: pl.col("v").min(), "min"), "h1": (lambda: pl.col("h").max(), "max"),
    "h0": (lambda: pl.col("h").min(), "min"), "nd": (lambda: pl.col("fresh").sum(), "sum"), "sd": (lambda: pl.col("d").sum(), "sum"),
    "g": (lambda: pl.col("gap").sum(), "sum"), "gn": (lambda: pl.col("gap").count(), "sum"),
    "g2": (lambda: (pl.col("gap") * pl.col("gap")).sum(), "sum"), "gx": (lambda: pl.col("gap").max(), "max"),
}
NEEDS = {"count": "n", "sum": "s", "mean": "s m", "max": "mx", "min": "mn", "recency": "h1", "first": "h0", "days": "nd", "slope": "n sd",
         "gap_mean": "g gn", "gap_std": "g g2 gn", "gap_max": "gx"}


def cell(short, f):
    """The measure of a cell."""
    e = CELL[short][0]()
    if not condition(f):
        return e
    which = pl.col("kind") == f.level if f.level else pl.col("v") >= 4
    column = {"n": pl.col("h"), "s": pl.col("v"), "h1": pl.col("h")}[short].filter(which)
    return {"n": column.len, "s": column.sum, "h1": column.max}[short]()


def value(f):
    w = f.window
    p = {s: pl.col(f"{f.stream}.{s}{measure(f) if s in ('n', 's', 'h1') else ''}_{w}") for s in NEEDS[f.agg].split()}
    zero = lambda s: p[s].fill_null(0)
    over = lambda a, b: pl.when(b != 0).then(a / b)
    x = (w * (w - 1) * w * (2 * w - 1)) // 6 - (w * (w - 1) // 2) ** 2
    return {
        "count": lambda: zero("n"), "sum": lambda: zero("s"), "mean": lambda: over(p["s"], p["m"]), "max": lambda: p["mx"], "min": lambda: p["mn"],
        "recency": lambda: (pl.col("t") - p["h1"]) / DAY, "first": lambda: (pl.col("t") - p["h0"]) / DAY, "days": lambda: zero("nd"),
        "slope": lambda: (w * (zero("sd").cast(pl.Float64) - zero("n").cast(pl.Float64) * (pl.col("t") // DAY - w)) - zero("n").cast(pl.Float64) * (w * (w - 1) // 2)) / x,
        "gap_mean": lambda: over(p["g"], p["gn"]), "gap_max": lambda: p["gx"],
        "gap_std": lambda: pl.when(p["gn"] > 1).then(
            ((p["g2"] - p["g"] * p["g"] / p["gn"]) / (p["gn"].cast(pl.Float64) - 1)).clip(lower_bound=0).sqrt()),
    }[f.agg]().cast(pl.Float64).alias(f.name)


def expression(f, windows):
    name, arguments = f.expr.rstrip(")").split("(")
    a, b = (arguments.split(", ") + [""])[:2]
    u, v = windows.get(a), windows.get(b)
    a, b = pl.col(a), pl.col(b) if b else None
    return {
        "rate_ratio": lambda: (a / u + 1 / v) / ((b - a) / (v - u) + 1 / v), "relative_slope": lambda: a * u / (b / v + 1 / v),
        "ratio": lambda: pl.when(b != 0).then(a / b), "per_day": lambda: a / u, "times": lambda: a * b, "per": lambda: a / (b + 1),
    }[name]().alias(f.name)


def plan(features, events, rows, snapshots, single=True):
    """A lazy frame of the set; events has a lazy frame (c, h, v, kind) for each stream, rows is one of (c, t)."""
    bounds = boundaries(snapshots)
    place = lambda day: sum(b <= day for b in bounds)
    instants = pl.LazyFrame({"t": snapshots, "hi": [place(t // DAY) for t in snapshots],
                             **{f"lo{w}": [place(t // DAY - w) for t in snapshots] for w in WINDOWS}})
    cell_of = pl.LazyFrame({"d": list(range(bounds[0], bounds[-1])), "k": [place(d) for d in range(bounds[0], bounds[-1])]})
    out = rows
    for stream in STREAMS:
        mine = [f for f in features if f.stream == stream]
        measures, needed = {}, {}
        for f in mine:
            for s in NEEDS[f.agg].split():
                name = s + (measure(f) if s in ("n", "s", "h1") else "")
                measures.setdefault(name, cell(s, f if name != s else next(g for g in mine if not condition(g))))
                needed[name, f.window] = CELL[s][1]
        e = events[stream].with_columns(d=pl.col("h") // DAY)
        if any(f.agg.startswith("gap") or f.agg == "days" for f in mine):
            before = pl.col("h").shift(1).over("c", order_by="h")
            e = e.with_columns(before=before).with_columns(
                gap=(pl.col("h") - pl.col("before")) / DAY, fresh=pl.col("before").is_null() | (pl.col("before") // DAY != pl.col("d")))
        cells = e.join(cell_of, on="d").group_by("c", "k").agg([x.alias(n) for n, x in measures.items()])
        merged = []
        for (name, w), merge in needed.items():
            merged.append(getattr(pl.col(name).filter(pl.col("k") >= pl.col(f"lo{w}")), merge)().alias(f"{stream}.{name}_{w}"))
        windows = (rows.join(instants, on="t").join(cells, on="c").filter((pl.col("k") < pl.col("hi")) & (pl.col("k") >= pl.col("lo365")))
                   .group_by("c", "t").agg(merged))
        out = out.join(windows, on=["c", "t"], how="left")
    out = out.select("c", "t", *[value(f) for f in features if not f.expr])
    windows = {f.name: f.window for f in features if not f.expr}
    for f in features:
        if f.expr:
            out = out.with_columns(expression(f, windows))
    return out.select("c", "t", *[pl.col(f.name).cast(pl.Float32) if single else pl.col(f.name) for f in features])
