"""Run behind the Python of docs/notebook.md, in the directory of a project: what
that has read must be what the NDJSON says, value by value."""

import json
import math

import pandas

TRUTH = [json.loads(line) for line in open("scores.ndjson")]
NUMBERS = "churn_probability", "percentile", "margin", "churn_probability_low", "churn_probability_high"


def same(got, want) -> bool:
    return math.isnan(got) if want is None else got == want


def said(reason) -> str:
    return f"{reason['text']} ({reason['direction']}{', unstable' if reason.get('unstable') else ''})"


def check(scores, table, reasons, both, drivers):
    ids = [t["customer_id"] for t in TRUTH]
    assert len(ids) > 100 and "NA" in ids and any(i.startswith("000") for i in ids), ids[:5]
    assert any(t["churn_probability_low"] is not None for t in TRUTH), "no interval to compare"
    for name, frame in ("Parquet", scores), ("CSV", table), ("joined", both):
        assert list(frame.index) == ids, f"{name}: the ids differ: {list(frame.index)[:3]}, {ids[:3]}"
        assert str(frame["as_of"].dtype) == "datetime64[us, UTC]", f"{name}: as_of is {frame['as_of'].dtype}"
        assert [t.isoformat().replace("+00:00", "Z") for t in frame["as_of"]] == [t["as_of"] for t in TRUTH], f"{name}: as_of"
        for column in NUMBERS:
            assert str(frame[column].dtype) == "float64", f"{name}: {column} is {frame[column].dtype}"
            assert all(map(same, frame[column], (t[column] for t in TRUTH))), f"{name}: {column}"
        for column in "risk_band", "model_version":
            assert list(frame[column]) == [t[column] for t in TRUTH], f"{name}: {column}"
        for i, t in enumerate(TRUTH):
            for k, r in enumerate(t["reasons"], 1):
                assert frame[f"reason_{k}"].iloc[i] == said(r), f"{name}: reason_{k} of {ids[i]}"
                if name != "CSV":
                    assert frame[f"reason_{k}_feature"].iloc[i] == r["feature"], f"{name}: feature of reason_{k} of {ids[i]}"
                    assert frame[f"reason_{k}_contribution"].iloc[i] == r["contribution"], f"{name}: contribution of reason_{k} of {ids[i]}"
    assert scores["risk_band"].dtype.ordered and (scores["risk_band"] >= "low").all(), "the bands are not in order"
    flat = [(t["customer_id"], t["as_of"], r["feature"], r["contribution"]) for t in TRUTH for r in t["reasons"]]
    assert list(reasons[["customer_id", "as_of", "feature", "contribution"]].itertuples(index=False, name=None)) == flat, "NDJSON: reasons"
    named = {f for _, _, f, _ in flat}
    assert named <= set(both.columns), f"no column for {named - set(both.columns)}"
    assert len(drivers) and {"feature", "family", "mean_abs_contribution"} <= set(drivers.columns), "drivers"


check(scores, table, reasons, both, drivers)  # noqa: F821, of the page
