"""What each family of features adds, on every simulated world and on the real
purchase histories of testdata, as one table in Markdown.

    make ablation
    python ablation.py [--features FILE] [--customers N] [--by feature] [--json FILE] CHURN [DATA SET...]

Runs churn features ablate on each. A cell is the log loss saved, in thousandths:
on top of the core / left out. + and - mark those whose interval excludes 0, a dot
a family without data. Progress goes to standard error.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from math import ceil, log10
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Purchases alone: who bought within 90 days, and buys nothing in the next 90.
CDNOW = f"""
clock: 1998-07-01T00:00:00Z
sources: {{payments: [{{path: "{ROOT / "testdata/cdnow/payments.csv.gz"}"}}]}}
churn: {{kind: inactivity, streams: [payments], gap: 0m, horizon: 90d, active_within: 90d, min_tenure: 30d}}
import: {{rejects: rejects.csv}}
"""


def run(*arguments) -> str:
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def worlds(churn) -> list[str]:
    """The worlds that simulate names in its help."""
    return re.search(r"Worlds: ([^.]*)\.", run(churn, "simulate", "--help").replace("\n", " "))[1].split(", ")


def project(name: str, directory: Path, churn, customers: int) -> Path:
    """Makes the data set and returns its project file."""
    if name == "complete_journey":
        return ROOT / "testdata" / name / "churn.yaml"
    if name == "cdnow":
        directory.mkdir()
        (directory / "churn.yaml").write_text(CDNOW)
    else:
        run(churn, "simulate", "--world", name, "--customers", customers, "--out", directory)
    return directory / "churn.yaml"


def thousandths(e: dict) -> str:
    """A value to the place where half the width of its interval begins."""
    half = 500 * (e["high"] - e["low"])
    digits = min(max(ceil(-log10(half)), 0), 2) if half > 0 else 0
    text = f"{1000 * e['value']:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text + ("+" if e["low"] > 0 else "-" if e["high"] < 0 else "")


def cell(g: dict | None) -> str:
    if g is None:
        return ""
    if g["verdict"] == "constant":
        return "·"
    return f"{thousandths(g['on_core']['log_loss_saved'])} / {thousandths(g['left_out']['log_loss_saved'])}"


def table(results: dict[str, dict], by: str) -> str:
    groups = {name: {g["name"]: g for g in r["groups"]} for name, r in results.items()}
    names = list(dict.fromkeys(name for of in groups.values() for name in of))

    def verdicts(name):
        found = [of[name]["verdict"] for of in groups.values() if name in of]
        return sum("adds" in v for v in found), sum("harms" in v for v in found), sum(v != "constant" for v in found)

    def saved(name):
        found = [of[name]["on_core"]["log_loss_saved"]["value"] for of in groups.values() if name in of]
        return sum(found) / len(found)

    names.sort(key=lambda name: (-verdicts(name)[0], -saved(name)))
    rows = [[by, "features", *results, "adds", "harms"]]
    for name in names:
        one = [of[name] for of in groups.values() if name in of]
        title = name + (" (core)" if any(g["in_core"] for g in one) else "")
        adds, harms, known = verdicts(name)
        # By level there are as many as a data set has levels.
        rows.append([title, str(max(g["features"] for g in one)), *(cell(of.get(name)) for of in groups.values()),
                     f"{adds} of {known}", f"{harms} of {known}"])
    test = [r["parts"][-1] for r in results.values()]
    for title, values in (
        ("*test rows*", [t["rows"] for t in test]),
        ("*test churners*", [t["churners"] for t in test]),
        ("*trees*", [r["trees"] for r in results.values()]),
        ("*log loss, core*", [f"{r['only_core']['log_loss']['value']:.4f}" for r in results.values()]),
        ("*log loss, all*", [f"{r['all']['log_loss']['value']:.4f}" for r in results.values()]),
        ("*AUC, core*", [f"{r['only_core']['auc']['value']:.3f}" for r in results.values()]),
        ("*AUC, all*", [f"{r['all']['auc']['value']:.3f}" for r in results.values()]),
    ):
        rows.append([title, "", *map(str, values), "", ""])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("churn", type=Path)
    parser.add_argument("sets", nargs="*", help="default: every world, complete_journey, cdnow")
    parser.add_argument("--features", help="file of a feature set (default: the built-in one)")
    parser.add_argument("--customers", type=int, default=4000, help="of each world")
    parser.add_argument("--by", default="family", choices=["family", "feature"])
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    o = parser.parse_args()
    churn = o.churn.resolve()
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in o.sets or [*worlds(churn), "complete_journey", "cdnow"]:
            begin = time.monotonic()
            file = project(name, Path(directory) / name, churn, o.customers)
            own = ["--features", Path(o.features).resolve()] if o.features else []
            results[name] = json.loads(run(churn, "features", "ablate", "--config", file, "--from-sources", "--json", "--by", o.by, *own))
            print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    if o.json:
        o.json.write_text(json.dumps(results, indent=1))
    print(table(results, o.by))


main()
