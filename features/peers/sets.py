"""The feature sets of the benchmark, for the engine and as what SQL and polars
have to compute: sums, counts and extremes over windows of three streams."""

import json
from dataclasses import dataclass

WINDOWS = (7, 30, 90, 180, 365)
KINDS = ("session", "feature_use", "order", "help_article", "billing_page", "setup_step")
CATEGORIES = ("product", "delivery", "billing", "service")
STREAMS = {  # time, field and level of each
    "engagement": ("occurred_at", "value", "kind"),
    "payments": ("due_at", "amount", None),
    "complaints": ("opened_at", "severity", "category"),
}


@dataclass(frozen=True)
class Feature:
    name: str
    stream: str = ""
    agg: str = ""
    window: int = 0
    level: str = ""
    severe: bool = False  # complaints of severity 4 and 5 only
    expr: str = ""


def over(stream, short, agg, windows, level="", severe=False):
    middle = f"{level}_" if level else "hi_" if severe else ""
    return [Feature(f"{short}_{middle}{agg}_{w}", stream, agg, w, level, severe) for w in windows]


def rates(short, *pairs):
    return [Feature(f"{short}_rate_{a}_{b}", expr=f"rate_ratio({short}_count_{a}, {short}_count_{b})") for a, b in pairs]


def make(large):
    e, p, c = ("engagement", "eng"), ("payments", "pay"), ("complaints", "cmp")
    some = lambda *windows: windows if large else windows[:1]
    out = over(*e, "count", WINDOWS) + over(*e, "sum", WINDOWS)
    out += over(*e, "mean", (30, 90, 365)[: 3 if large else 2]) + over(*e, "max", (30, 90, 365)[: 3 if large else 2])
    out += over(*e, "days", (7, 30, 90, 365)[: 4 if large else 3]) + over(*e, "recency", (365,)) + over(*e, "first", (365,))
    out += over(*e, "slope", (30, 90, 180)[: 3 if large else 2])
    for agg in ("gap_mean", "gap_std", "gap_max"):
        out += over(*e, agg, some(90, 365))
    for kind in KINDS:
        out += over(*e, "count", WINDOWS if large else (30, 90), kind)
        if large:
            out += over(*e, "recency", (365,), kind) + over(*e, "sum", (90, 365), kind)
    out += rates("eng", (7, 30), (30, 90), (90, 365))
    out += over(*p, "count", WINDOWS) + over(*p, "sum", (30, 90, 365) if not large else WINDOWS)
    out += over(*p, "mean", some(365, 90)) + over(*p, "recency", (365,)) + over(*p, "slope", some(180, 365))
    out += rates("pay", *((30, 90), (7, 30), (90, 365))[: 3 if large else 1])
    out += over(*c, "count", WINDOWS if large else WINDOWS[1:]) + over(*c, "sum", (90, 365)) + over(*c, "max", (90, 365))
    out += over(*c, "recency", (365,))
    if large:
        out += over(*e, "min", (90, 365)) + [
            Feature("eng_relslope", expr="relative_slope(eng_slope_90, eng_count_90)"),
            Feature("eng_gap_cv", expr="ratio(eng_gap_std_90, eng_gap_mean_90)"),
            Feature("eng_silence", expr="ratio(eng_recency_365, eng_gap_mean_365)"),
            Feature("eng_per_day", expr="per_day(eng_count_180)"),
            Feature("eng_missed", expr="times(eng_recency_365, eng_per_day)")]
        out += over(*p, "max", (365,)) + over(*p, "min", (365,)) + over(*p, "days", (90, 365)) + over(*p, "first", (365,))
        for agg in ("gap_mean", "gap_std", "gap_max"):
            out += over(*p, agg, (180, 365))
        out += [Feature("pay_silence", expr="ratio(pay_recency_365, pay_gap_mean_365)")]
        out += over(*c, "min", (365,)) + over(*c, "mean", (365,)) + over(*c, "first", (365,)) + over(*c, "days", (365,))
        for category in CATEGORIES:
            out += over(*c, "count", (90, 365), category) + over(*c, "recency", (365,), category)
        out += over(*c, "gap_mean", (365,)) + over(*c, "count", (90, 365), severe=True) + rates("cmp", (90, 365))
        out += [Feature("cmp_per_eng", expr="per(cmp_count_90, eng_count_90)")]
    return out


SETS = {"60": make(False), "150": make(True)}


def yaml(features) -> str:
    """The set for churn. JSON is YAML."""
    out = []
    for f in features:
        d = {"name": f.name}
        if f.expr:
            d["expr"] = f.expr
        else:
            d |= {"from": f.stream, "agg": f.agg, "windows": [f"{f.window}d"]}
            _, field, level = STREAMS[f.stream]
            if f.agg in ("sum", "mean", "max", "min"):
                d["field"] = field
            if f.severe:
                d["where"] = "severity >= 4"
            if f.level:
                d |= {"by": level, "levels": [f.level], "name": f.name.replace(f.level, "{by}")}
        out.append(d)
    return json.dumps({"version": 1, "features": out}, indent=1)


if __name__ == "__main__":
    for name, features in SETS.items():
        assert len({f.name for f in features}) == len(features)
        print(name, len(features))
