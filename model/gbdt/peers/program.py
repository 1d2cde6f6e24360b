"""Runs the program of main.go, and compares what it says with what others say."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from data import Table

ROOT = Path(__file__).resolve().parents[3]
WORK = Path(tempfile.mkdtemp(prefix="conformance-"))  # conformance.py removes it


@cache
def build() -> Path:
    """Builds the program once, or takes the one PEERS names."""
    if "PEERS" in os.environ:
        return Path(os.environ["PEERS"])
    path = WORK / "peers"
    subprocess.run([os.environ.get("GO", "go"), "build", "-o", path, "./model/gbdt/peers"], cwd=ROOT, check=True)
    return path


def peers(*arguments, **environment) -> str:
    """Runs the program; what it calls an error is one here."""
    run = subprocess.run([build(), *map(str, arguments)], capture_output=True, text=True,
                         env={**os.environ, **environment})
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip())
    return run.stdout


def scores(model: Path, table: Table, form="lightgbm") -> np.ndarray:
    """Our raw scores of the rows, compiled and plain: the program fails where
    they differ."""
    return predict(model, table, form)


def predict(model, table, form, *more):
    table.write(WORK / "rows")
    peers("predict", "-data", WORK / "rows", "-model", model, "-format", form, "-out", WORK / "raw.f64", *more)
    return np.fromfile(WORK / "raw.f64", "<f8")


def assert_explained(model: Path, table: Table, form="lightgbm", exact=1e-9, near=1e-6, **theirs) -> str:
    """Asserts that our contributions add up to our raw scores and are those of
    others: the textbook's algorithm's up to exact, the compiled forest's up to
    near times the largest. Each of theirs has a column per feature and may
    have one more, the base."""
    files = {"textbook": WORK / "textbook.f64", "contributions": WORK / "contributions.f64"}
    raw = predict(model, table, form, *(word for name, file in files.items() for word in ("-" + name, file)))
    textbook, compiled = (np.fromfile(file, "<f8").reshape(len(raw), -1) for file in files.values())
    near *= np.abs(textbook).max()
    said = []
    for ours, tolerance, algorithm in ((textbook, exact, "textbook's"), (compiled, near, "compiled")):
        said += [assert_near(ours.sum(axis=1), raw, max(1e-9, tolerance), f"{algorithm} sum")]
        for name, values in theirs.items():
            said += [assert_near(ours[:, :values.shape[1]], values, tolerance, f"{algorithm} and {name}")]
    return ", ".join(said)


def refused(model: Path, table: Table, want: str, form="lightgbm") -> None:
    """Asserts that reading the model is an error that says want."""
    try:
        scores(model, table, form)
    except RuntimeError as e:
        assert want in str(e), f"error {e}, want one with {want!r}"
    else:
        raise AssertionError(f"was read, want an error with {want!r}")


def assert_same(ours, theirs) -> None:
    """Asserts that not one bit differs."""
    differ = np.flatnonzero(ours != theirs)
    assert not len(differ), (
        f"{len(differ)} of {len(ours)} rows differ, by {np.abs(ours - theirs).max():.3g} at most; "
        f"row {differ[0]}: ours {ours[differ[0]]!r}, theirs {theirs[differ[0]]!r}")


def assert_near(ours, theirs, tolerance, what) -> str:
    far = np.abs(ours - theirs).max(initial=0)
    assert far <= tolerance, f"{what} differs by {far:.3g}, tolerance {tolerance:.3g}"
    return f"{what} within {far:.1e}"


def odd(table: Table, thresholds=()) -> Table:
    """The rows of a table with values a scorer gets wrong first, and values
    at, below and above thresholds, given as pairs of a feature and a number.

    LightGBM takes numbers of a dense table from -1e-35 to 1e-35 for 0 before
    any tree sees them, package gbdt does not: there are none here but 0.
    """
    rng = np.random.default_rng(8)
    X = table.X.copy()
    values = np.array([np.nan, np.inf, -np.inf, 0, -0.0, -1, -0.5, 0.5, 2.75, 1e-34, -1e-34, 31, 32, 500, 1e10,
                       -2e9, 3e38, -3e38], np.float32)
    hit = rng.random(X.shape) < 0.2
    X[hit] = rng.choice(values, hit.sum())
    for feature, number in thresholds:
        at = np.float32(np.clip(number, -3e38, 3e38))
        for value in (at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf))):
            X[rng.integers(len(X)), feature] = value
    X[0] = np.nan
    X[np.abs(X) <= np.float32(1e-35)] = 0
    return Table(X, table.y, table.names, table.categorical)
