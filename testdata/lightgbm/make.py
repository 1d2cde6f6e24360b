"""Makes the golden files in this directory with Python's LightGBM.

    python3 -m venv venv
    venv/bin/pip install lightgbm==4.6.0 numpy==2.4.6 pandas==3.1.1
    venv/bin/python make.py

Writes for each model NAME.txt, as Booster.save_model writes it, and NAME.csv:
rows (all values exact in float32) with LightGBM's raw_score and pred_contrib.
modes.py makes the models of the other ways to train.
"""

import csv

import lightgbm
import numpy as np
import pandas as pd

NAMES = ["tenure", "spend", "plan", "region", "late", "constant"]


def table(rng, n):
    """Numbers without and with missing values, a small category, one of more
    than 64 codes, a count that is mostly zero, and a constant."""
    x = np.empty((n, len(NAMES)))
    x[:, 0] = rng.integers(0, 60, n)
    x[:, 1] = np.where(rng.random(n) < 0.25, np.nan, rng.lognormal(3, 1, n))
    x[:, 2] = rng.integers(0, 4, n)
    x[:, 3] = rng.integers(0, 80, n)
    x[:, 4] = np.where(rng.random(n) < 0.6, 0, rng.integers(-3, 6, n))
    x[:, 5] = 1
    return x.astype(np.float32).astype(np.float64)


def labels(rng, x):
    spend = np.where(np.isnan(x[:, 1]), 60, x[:, 1])
    margin = (
        1.5
        - 0.06 * x[:, 0]
        - 0.01 * spend
        + 1.2 * (x[:, 2] == 2)
        + 1.0 * (x[:, 3] % 7 < 3)
        + 0.5 * x[:, 4]
    )
    return (rng.random(len(x)) < 1 / (1 + np.exp(-margin))).astype(int)


def frame(x):
    f = pd.DataFrame(x, columns=NAMES)
    f["plan"] = pd.Categorical.from_codes(x[:, 2].astype(int), ["basic", "plus", "pro", "é"])
    f["region"] = pd.Categorical.from_codes(x[:, 3].astype(int), [f"r{i}" for i in range(80)])
    return f


def odd_rows(x):
    """Rows a scorer gets wrong first: missing everywhere, unseen, negative and
    fractional codes, zeros of both signs, values next to zero, huge values."""
    rows = np.repeat(x[:1], 14, axis=0)
    rows[0, :] = np.nan
    rows[1, 2:4] = np.nan
    rows[2, 2:4] = [7, 500]
    rows[3, 2:4] = [-1, -0.5]
    rows[4, 2:4] = [2.75, 33.5]
    rows[5, 2:4] = [1e10, np.inf]
    rows[6, [0, 1, 4]] = 0
    rows[7, [0, 1, 4]] = -0.0
    rows[8, [0, 1, 4]] = 1e-36
    rows[9, [0, 1, 4]] = -1e-34
    rows[10, [0, 1, 4]] = 3e38
    rows[11, [0, 1, 4]] = -3e38
    rows[12, [0, 1, 4]] = [np.inf, -np.inf, np.inf]
    rows[13, 4] = np.nan
    return rows.astype(np.float32).astype(np.float64)


def save(name, model, rows):
    """Writes NAME.txt and NAME.csv."""
    model.save_model(name + ".txt")
    raw = model.predict(rows, raw_score=True)
    contributions = model.predict(rows, pred_contrib=True)
    names = model.feature_name()
    with open(name + ".csv", "w", newline="") as out:
        w = csv.writer(out, lineterminator="\n")
        w.writerow(names + ["raw_score"] + ["contribution_" + n for n in names] + ["base"])
        for row in np.column_stack([rows, raw, contributions]):
            w.writerow([repr(float(v)) for v in row])


def main():
    assert lightgbm.__version__ == "4.6.0", lightgbm.__version__
    rng = np.random.default_rng(20261122)
    x = table(rng, 3000)
    y = labels(rng, x)
    common = dict(
        objective="binary", num_leaves=12, min_data_in_leaf=20, min_data_per_group=20,
        cat_smooth=5, seed=1, deterministic=True, num_threads=1, verbosity=-1,
    )
    # Boosting; NaN is missing; pandas categories.
    boosted = lightgbm.train(
        common | dict(learning_rate=0.1, monotone_constraints=[-1, 0, 0, 0, 1, 0]),
        lightgbm.Dataset(frame(x), y), 12,
    )
    # Random forest (average_output); zero is missing too; a steeper link.
    forest = lightgbm.train(
        common | dict(boosting="rf", bagging_freq=1, bagging_fraction=0.6, feature_fraction=0.7,
                      zero_as_missing=True, sigmoid=2),
        lightgbm.Dataset(x, y, feature_name=NAMES, categorical_feature=["plan", "region"]), 8,
    )
    # No missing values: NaN counts as 0. One tree is a single leaf.
    plain = lightgbm.train(
        common | dict(use_missing=False, num_leaves=6, min_data_in_leaf=300),
        lightgbm.Dataset(x[:, [0, 4]], y, feature_name=["tenure", "late"]), 5,
    )
    leaf = lightgbm.train(
        common | dict(min_data_in_leaf=2000),
        lightgbm.Dataset(x[:, [0, 4]], y, feature_name=["tenure", "late"]), 2,
    )
    rows = np.vstack([table(rng, 60), odd_rows(x)])
    for name, model, columns in [
        ("boosted", boosted, [0, 1, 2, 3, 4, 5]), ("forest", forest, [0, 1, 2, 3, 4, 5]),
        ("plain", plain, [0, 4]), ("leaf", leaf, [0, 4]),
    ]:
        save(name, model, rows[:, columns])


if __name__ == "__main__":
    main()
