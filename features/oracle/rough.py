"""A world without sense, and a feature set with everything in it."""

import csv
import json
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES = "customers", "engagement", "complaints", "payments", "contacts", "attributes"


def rough(directory: Path) -> None:
    """Writes a world without sense: many events at the same instants, values and
    categories that are missing, everything recorded sooner or later."""
    draw = random.Random(7)
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    last = start

    def at(spread=730):
        nonlocal last
        if draw.random() < 0.8:
            last = start + timedelta(hours=12 * draw.randrange(2 * spread), microseconds=draw.choice([0, draw.randrange(43_200_000_000)]))
        return last

    def later(moment, chance, days):
        return (moment + timedelta(days=days * draw.random() ** 3)).isoformat() if draw.random() < chance else ""

    def table(name, header, rows):
        with open(directory / f"{name}.csv", "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(header.split())
            out.writerows(rows)

    ids = [f"R{i:03}" for i in range(120)]
    signed = {i: start - timedelta(days=draw.randrange(300)) for i in ids}
    signed["R000"], signed["R001"] = datetime(2020, 2, 29, 23, 30, tzinfo=timezone.utc), start - timedelta(microseconds=1)
    table("customers", "customer_id signed_up_at churned_at churn_reason plan seats renewal",
          [[i, signed[i].isoformat(), later(start + timedelta(days=300), 0.6, 600), draw.choice(["", "price", "moved"]),
            draw.choice(["", "basic", "plus", 'of "all" kinds, really']), draw.choice(["", 1, 2.5]),
            draw.choice(["", "soon", at().isoformat()])] for i in ids])
    engagement, complaints, payments, contacts, attributes = [], [], [], [], []
    for who in ids:
        for k in range(draw.choice([0, 1, 5, 200])):
            t = at()
            engagement.append([f"{who}-e{k}", who, t.isoformat(), draw.choice("abcdefghijkl") * draw.randrange(1, 3),
                               draw.choice(["", 0, 100, round(draw.uniform(-50, 500), 6)]), later(t, 0.3, 90)])
        for k in range(draw.choice([0, 1, 3, 12, 40])):
            t = at()
            done = later(t, 0.6, 60)
            complaints.append([f"{who}-c{k}", who, t.isoformat(), draw.choice(["", "billing", "product", "delivery", "service", "other"]),
                               draw.choice(["", 1, 4, 5]), draw.choice(["", "phone", "mail"]), done, draw.choice(["", 1, 2, 3, 5]) if done else "",
                               later(t, 0.3, 30), later(datetime.fromisoformat(done), 0.3, 30) if done else ""])
        for k in range(draw.choice([0, 1, 3, 30])):
            due, kind = at(), draw.random()
            paid = (due + timedelta(days=draw.choice([-3, 0, 1, 3, 4, 60]))).isoformat() if kind < 0.8 else ""
            known = later(datetime.fromisoformat(paid), 0.3, 20) if paid else ""
            row = [f"{who}-p{k}", who, due.isoformat(), draw.choice([0, 10, round(draw.uniform(0, 99), 2)]), draw.choice(["EUR", "USD"])]
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
        for k in range(draw.choice([0, 0, 3, 20])):
            t = at()
            contacts.append([f"{who}-n{k}", who, t.isoformat(), draw.choice(["call", "mail"]), draw.choice(["", "phone", "post"]),
                             draw.choice(["", 0.5, 3]), draw.choice(["", "holdout"]), draw.choice(["", "reached"]), later(t, 0.3, 30)])
        for k in range(draw.choice([0, 1, 2, 9])):
            t = at()
            attributes.append([f"{who}-a{k}", who, t.isoformat(), draw.choice(["", "red", "blue"]), draw.choice(["", 0, 10, 12.5, "much"]),
                               draw.choice(["", "soon", at().isoformat()]), later(t, 0.3, 30)])
    table("engagement", "event_id customer_id occurred_at kind value recorded_at", engagement)
    table("complaints", "event_id customer_id opened_at category severity channel resolved_at satisfaction recorded_at resolved_recorded_at", complaints)
    table("payments", "event_id customer_id due_at amount currency status paid_at status_at recorded_at paid_recorded_at", payments)
    table("contacts", "event_id customer_id occurred_at action channel cost arm outcome recorded_at", contacts)
    table("attributes", "event_id customer_id valid_from colour price until recorded_at", attributes)
    named = [{"name": "plan", "type": "category"}, {"name": "seats", "type": "number", "fill": 1.5}, {"name": "renewal", "type": "date"},
             {"name": "colour", "type": "category", "history": True}, {"name": "price", "type": "number", "history": True},
             {"name": "until", "type": "date", "history": True, "fill": 0}]
    sources = "".join(f"  {t}: [{{path: {t}.csv}}]\n" for t in TABLES)
    (directory / "churn.yaml").write_text(
        f"clock: 2027-01-01T00:00:00Z\nsources:\n{sources}churn: {{kind: contract, gap: 7d, horizon: 30d, active_within: 0d, min_tenure: 0d}}\n"
        f"features: set.yaml\nattributes: {json.dumps(named)}\ntraining: {{through: 2026-01-15}}\n")
    (directory / "set.yaml").write_text((ROOT / "features" / "default.yaml").read_text() + "".join(f"- {json.dumps(d)}\n" for d in everything()))


def everything():
    """Declares every aggregate, field, state and function that there is."""
    of_items = "count recency first days weeks slope gap_mean gap_std gap_max gap_last gap_rank active_weeks empty_weeks down_weeks".split()
    of_values = "sum mean std min max last earliest median rises falls change trend".split()
    for k, (stream, field, where, by, window, offset) in enumerate([
            ("engagement", "value", "hour >= 12", "kind", 91, 30), ("engagement", "hour", "not value > 100", "kind", 364, 0),
            ("complaints", "severity", "open", "category", 364, 7), ("complaints", "satisfaction", "severity > 1", "channel", 91, 91),
            ("complaints", "hours_to_resolve", "resolved and not severity >= 4", "category", 182, 60),
            ("complaints", "age_days", 'category != "billing"', "channel", 7 * 20, 1),
            ("payments", "amount", "not refunded and paid", "currency", 364, 7), ("payments", "days_late", "late", "currency", 182, 60),
            ("payments", "days_early", "days_late <= 1", "currency", 364, 14), ("payments", "age_days", "unpaid", "currency", 364, 1),
            ("payments", "weekday", "not failed", "currency", 14, 3), ("contacts", "cost", 'outcome != ""', "arm", 364, 30),
            ("contacts", "age_days", 'action == "call" and weekday < 6', "outcome", 182, 0),
            ("attributes", "value", 'text != "much"', "attribute", 364, 60), ("attributes", "hour", "value > 0", "text", 364, 0)]):
        of = {"from": stream, "windows": [f"{window}d"], "offset": f"{offset}d"}
        texts = {"kinds", "top_share", "repeats"}
        for agg in [*of_items, *of_values, *texts, "rate", "run"]:
            d = {"name": f"x{k}_{agg}", "agg": agg, **of}
            if agg in of_values:
                d["field"] = field
            if agg in texts:
                d["field"] = by
            yield d | {"where": where}
            if agg in ("recency", "sum", "median", "repeats"):
                yield d | {"name": f"x{k}_{{by}}_{agg}", "by": by, "top": 2, "fill": -1}
        yield {"name": f"x{k}_{{by}}_share", "agg": "share", "by": by, "top": 3, "where": where, **of}
    for agg in ("tenure", "anniversary", "cohort", "signup_month"):
        yield {"name": f"x_{agg}", "from": "customer", "agg": agg}
    for agg in ("month", "day_of_month", "day_of_week", "season_sin", "season_cos"):
        yield {"name": f"x_{agg}", "from": "calendar", "agg": agg}
    yield {"name": "x_n_{w}", "from": "payments", "agg": "count", "windows": ["45d", "150d"]}
    for call in ("rate_ratio(x_n_45, x_n_150)", "relative_slope(x1_slope, x_n_45)", "per_day(x_n_45)"):
        yield {"name": f"x_{call.split('(')[0]}", "expr": call}
    for name in ("ratio", "diff", "times", "per", "growth", "least", "coalesce"):
        yield {"name": f"x_{name}", "expr": f"{name}(x7_median, x0_recency)"}
    yield {"name": "x_log1p", "expr": "log1p(x0_change)", "fill": -5}
    yield {"name": "x_filled", "expr": "diff(x_log1p, 0.5)"}
