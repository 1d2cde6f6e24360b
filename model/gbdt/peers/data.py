"""Synthetic tables to train on, and the directories main.go reads.

Every generator returns two tables drawn from one process: rows to train on
and rows held out. The same arguments give the same bytes. The process itself
(which columns matter, and how) depends on the seed, so seeds are different
tasks of one family and not only different samples.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Table:
    """Rows to train on or to test with, as gbdt.Dataset."""

    X: np.ndarray  # float32, rows x features; missing is NaN
    y: np.ndarray  # float32, 0 or 1
    names: list[str]
    categorical: list[bool]  # per feature: values are codes, whole numbers from 0
    w: np.ndarray | None = None  # float32 weights

    def head(self, rows: int) -> "Table":
        """The first rows only."""
        w = None if self.w is None else self.w[:rows]
        return Table(self.X[:rows], self.y[:rows], self.names, self.categorical, w)

    def write(self, directory: Path) -> None:
        """Writes the directory that main.go and read take."""
        directory.mkdir(parents=True, exist_ok=True)
        np.ascontiguousarray(self.X, "<f4").tofile(directory / "X.f32")
        np.ascontiguousarray(self.y, "<f4").tofile(directory / "y.f32")
        if self.w is None:
            (directory / "w.f32").unlink(missing_ok=True)
        else:
            np.ascontiguousarray(self.w, "<f4").tofile(directory / "w.f32")
        meta = {"names": self.names, "categorical": self.categorical}
        (directory / "meta.json").write_text(json.dumps(meta))


def read(directory: Path) -> Table:
    """Reads what Table.write wrote."""
    meta = json.loads((directory / "meta.json").read_text())
    X = np.fromfile(directory / "X.f32", "<f4").reshape(-1, len(meta["names"]))
    y = np.fromfile(directory / "y.f32", "<f4")
    weights = directory / "w.f32"
    w = np.fromfile(weights, "<f4") if weights.exists() else None
    return Table(X, y, meta["names"], meta["categorical"], w)


def dense(rows: int, features: int, seed: int, held: int = 100_000) -> tuple[Table, Table]:
    """Churn-like: what a customer does, counted, summed and averaged.

    Every third column is a whole number of 2 to 20 values; of the others one
    in seven is a category of 3 to 40 levels and two in seven are skewed counts
    with many zeros; the rest are continuous. A quarter of the columns that are
    no category have missing values, more of them where the hidden activity of
    the customer is low. Columns are correlated through six hidden factors. The
    label depends on a third of the columns by steps, waves, levels, missingness
    and products of two; one row in five is positive.
    """
    rng = np.random.default_rng([seed, features, 1])
    n = rows + held
    factors = rng.standard_normal((6, n), np.float32)
    X = np.empty((n, features), np.float32)
    score = np.zeros(n)
    names, categorical = [], []
    previous = factors[0]  # the last column that mattered, for products of two
    other = 0  # columns so far that are not the third
    for j in range(features):
        loading = rng.normal(0, 0.6, 2)
        a, b = rng.choice(6, 2, replace=False)
        z = loading[0] * factors[a] + loading[1] * factors[b] + rng.standard_normal(n, np.float32)
        z /= np.sqrt(1 + loading @ loading)  # again of variance 1
        kind = "level"
        if j % 3 != 2:
            kind = ("category", "amount", "count", "amount", "amount", "count", "amount")[other % 7]
            other += 1
        x = _column(kind, z, rng)
        if kind != "category" and rng.random() < 0.25:
            x[rng.random(n) < rng.uniform(0.04, 0.4) / (1 + np.exp(2 * factors[0]))] = np.nan
        if rng.random() < 1 / 3 or j < 3:
            score += _effect(kind, x, z, previous, rng)
            previous = z
        X[:, j] = x
        names.append(f"{kind}_{j}")
        categorical.append(kind == "category")
    y = _label(2 * score / score.std(), 0.2, rng)
    return _split(X, y, names, categorical, rows)


def _column(kind: str, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns a standard normal column into one of the kind."""
    if kind == "level":  # equally likely or not: cut at random places
        cuts = np.sort(rng.normal(0, 1, rng.integers(1, 20)))
        return np.searchsorted(cuts, z).astype(np.float32)
    if kind == "category":  # codes in no order
        levels = int(rng.integers(3, 41))
        cuts = np.sort(rng.normal(0, 1, levels - 1))
        return rng.permutation(levels)[np.searchsorted(cuts, z)].astype(np.float32)
    if kind == "count":  # zero below a threshold, log-normal above
        return np.floor(np.exp(np.maximum(z - rng.uniform(-0.5, 0.8), -1) * 1.5)).astype(np.float32)
    if rng.random() < 0.5:
        return np.exp(rng.uniform(0.5, 1.5) * z)
    return z.copy()


def _effect(kind, x, z, previous, rng) -> np.ndarray:
    """What a column does to the log-odds, alone and with the previous one."""
    if kind == "category":
        alone = rng.normal(0, 0.7, 40)[x.astype(int)]
    elif kind == "level":
        alone = rng.normal(0, 0.5, 20)[np.nan_to_num(x, nan=0).astype(int)]
    elif rng.random() < 0.5:
        alone = np.where(z > rng.normal(), rng.normal(0, 0.8), 0)
    else:
        alone = 0.5 * np.sin(rng.uniform(1, 3) * z + rng.uniform(0, 6))
    together = rng.normal(0, 0.5) * z * previous + rng.normal(0, 0.6) * ((z > 0.3) & (previous < 0))
    return alone + together + rng.normal(0, 0.5) * np.isnan(x)


def telco(rows: int, seed: int, held: int = 50_000) -> tuple[Table, Table]:
    """Like the Telco churn table everybody knows: 19 columns, 16 of them
    categories of 2 to 4 levels, then tenure, monthly and total charges; one
    row in four is positive."""
    rng = np.random.default_rng([seed, 2])
    n = rows + held

    def pick(*shares):
        return rng.choice(len(shares), n, p=shares)

    def chance(p):
        return (rng.random(n) < p).astype(int)

    contract = pick(0.55, 0.21, 0.24)  # month, one year, two years
    tenure = np.clip(rng.gamma(1 + contract, 20), 0, 72).astype(int)
    internet = pick(0.34, 0.44, 0.22)  # DSL, fiber, none
    senior = chance(0.16)
    partner = chance(0.3 + 0.004 * tenure)
    phone = np.where(internet == 0, chance(0.75), 1)
    services = [np.where(internet == 2, 2, chance(0.25 + 0.004 * tenure)) for _ in range(6)]
    lines = np.where(phone == 0, 2, chance(0.3 + 0.004 * tenure))
    payment = np.where(internet == 1, pick(0.5, 0.1, 0.2, 0.2), pick(0.2, 0.35, 0.2, 0.25))
    extras = sum((s == 1).astype(int) for s in services)
    monthly = (20.0 * phone + 5 * (lines == 1) + np.choose(internet, [25, 50, 0])
               + 5.5 * extras + rng.normal(0, 1.5, n)).round(2)
    total = (monthly * tenure * rng.normal(1, 0.04, n)).round(2)
    columns = {
        "gender": chance(0.5), "senior": senior, "partner": partner,
        "dependents": np.where(partner == 1, chance(0.5), chance(0.1)),
        "phone": phone, "lines": lines, "internet": internet,
        "security": services[0], "backup": services[1], "protection": services[2],
        "support": services[3], "tv": services[4], "movies": services[5],
        "contract": contract, "paperless": chance(0.45 + 0.2 * (internet == 1)), "payment": payment,
        "tenure": tenure, "monthly": monthly, "total": np.where(tenure == 0, np.nan, total),
    }
    t = rng.normal(1, 0.2, 12)  # every seed is a somewhat different company
    score = (-1.3 * t[0] * contract - 0.035 * t[1] * tenure + 0.9 * t[2] * (internet == 1)
             - 0.8 * t[3] * (internet == 2) - 0.45 * t[4] * (services[0] == 1)
             - 0.4 * t[5] * (services[3] == 1) + 0.45 * t[6] * (payment == 0)
             + 0.3 * t[7] * senior + 0.3 * t[8] * columns["paperless"]
             + 0.012 * t[9] * monthly * (tenure < 12)
             + 0.6 * t[10] * (contract == 0) * (internet == 1) * (extras < 2)
             - 0.3 * t[11] * columns["dependents"])
    y = _label(score, 0.265, rng)
    X = np.stack(list(columns.values()), axis=1).astype(np.float32)
    return _split(X, y, list(columns), [i < 16 for i in range(19)], rows)


def high_cardinality(rows: int, seed: int, held: int = 50_000) -> tuple[Table, Table]:
    """Like the Amazon access table: nine columns, all categories, of 20 to
    20,000 levels with long tails. A level has an effect of its own and two
    hidden traits; three pairs of columns also act through the product of their
    levels' traits. One row in five is positive."""
    rng = np.random.default_rng([seed, 3])
    n = rows + held
    levels = {"region": 20, "role": 60, "department": 300, "team": 1_000, "title": 1_000,
              "campaign": 3_000, "manager": 5_000, "resource": 10_000, "store": 20_000}
    codes, traits, score = {}, {}, np.zeros(n)
    for name, k in levels.items():
        # Shares fall as 1/(rank + k/20)^1.1; level numbers say nothing about them.
        share = 1 / (np.arange(k) + k / 20 + 1) ** 1.1
        codes[name] = rng.permutation(k)[rng.choice(k, n, p=share / share.sum())]
        traits[name] = rng.normal(0, 1, (k, 2))[codes[name]]
        score += rng.normal(0, 0.6, k)[codes[name]]
    for a, b in (("role", "resource"), ("department", "manager"), ("team", "campaign")):
        score += 0.5 * (traits[a] * traits[b]).sum(axis=1)
    y = _label(score, 0.2, rng)
    X = np.stack(list(codes.values()), axis=1).astype(np.float32)
    return _split(X, y, list(levels), [True] * len(levels), rows)


def _label(score: np.ndarray, positive: float, rng: np.random.Generator) -> np.ndarray:
    """Draws labels whose log-odds are score plus the constant that makes the
    wanted share positive."""
    low, high = -30.0, 30.0
    sample = score[:100_000]
    for _ in range(60):
        middle = (low + high) / 2
        if (1 / (1 + np.exp(-sample - middle))).mean() < positive:
            low = middle
        else:
            high = middle
    return (rng.random(len(score)) < 1 / (1 + np.exp(-score - low))).astype(np.float32)


def _split(X, y, names, categorical, rows) -> tuple[Table, Table]:
    return (Table(X[:rows], y[:rows], names, categorical),
            Table(X[rows:], y[rows:], names, categorical))
