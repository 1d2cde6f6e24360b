"""Makes the golden files in this directory with Python's XGBoost.

    python3.12 -m venv new
    new/bin/pip install xgboost==3.4.1 numpy==2.5.5 pandas==3.1.1
    new/bin/python make.py
    python3.11 -m venv old
    old/bin/pip install xgboost==1.7.6 numpy==1.26.4 scipy==1.11.4 pandas==2.1.4
    old/bin/python make.py

Writes for each model NAME.json and NAME.ubj, as Booster.save_model writes
them, and NAME.csv: rows (all values exact in float32) with XGBoost's
output_margin and pred_contribs. The old version makes only the model "old".
"""

import csv
import json

import numpy as np
import pandas as pd
import xgboost as xgb

OLD = xgb.__version__ == "1.7.6"
assert OLD or xgb.__version__ == "3.4.1", xgb.__version__

NAMES = ["tenure", "monthly spend", "plan", "région", "late"]
TYPES = ["float", "float", "c", "c", "float"]
PLANS = ["basic", "plus", 'pro "é"']
REGIONS = list(range(100, 180))


def table(rng, n):
    """Numbers without and with missing values, a small and a large category,
    both sometimes missing, and a count that is mostly zero."""
    x = np.empty((n, len(NAMES)))
    x[:, 0] = rng.integers(0, 60, n)
    x[:, 1] = np.where(rng.random(n) < 0.25, np.nan, rng.lognormal(3, 1, n))
    x[:, 2] = np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, len(PLANS), n))
    x[:, 3] = np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, len(REGIONS), n))
    x[:, 4] = np.where(rng.random(n) < 0.6, 0, rng.integers(-3, 6, n))
    return x.astype(np.float32)


def labels(rng, x):
    spend = np.where(np.isnan(x[:, 1]), 150, x[:, 1])
    margin = (
        1.0
        - 0.06 * x[:, 0]
        - 0.01 * spend
        + 1.2 * ((x[:, 2] == 2) | np.isnan(x[:, 2]))
        + 1.0 * (np.nan_to_num(x[:, 3], nan=1) % 7 < 3)
        + 0.5 * x[:, 4]
    )
    return (rng.random(len(x)) < 1 / (1 + np.exp(-margin))).astype(int)


def frame(x):
    def codes(column):
        return np.nan_to_num(x[:, column], nan=-1).astype(int)

    f = pd.DataFrame(x, columns=NAMES)
    f["plan"] = pd.Categorical.from_codes(codes(2), PLANS)
    f["région"] = pd.Categorical.from_codes(codes(3), REGIONS)
    return f


def odd_rows(x):
    """Rows a scorer gets wrong first: missing, unseen, negative and fractional
    codes, zeros of both signs, huge values. (XGBoost refuses infinities.)"""
    rows = np.repeat(x[:1], 12, axis=0)
    rows[0, :] = np.nan
    rows[1, 2:4] = np.nan
    rows[2, 2] = np.nan
    rows[3, 3] = np.nan
    rows[4, 2:4] = [7, 500]
    rows[5, 2:4] = [-1, -3]
    rows[6, 2:4] = [1.75, 33.5]
    rows[7, 2:4] = [1e10, 16777216]
    rows[8, [0, 1, 4]] = 0
    rows[9, [0, 1, 4]] = -0.0
    rows[10, [0, 1, 4]] = 3e38
    rows[11, [0, 1, 4]] = -3e38
    return rows


def write(name, booster, x, types, names=None, rounds=0):
    booster.save_model(name + ".json")
    booster.save_model(name + ".ubj")
    data = xgb.DMatrix(x, feature_types=types, feature_names=names)
    trees = dict(iteration_range=(0, rounds))
    margin = booster.predict(data, output_margin=True, **trees)
    contributions = booster.predict(data, pred_contribs=True, **trees)
    with open(name + ".csv", "w", newline="") as out:
        w = csv.writer(out, lineterminator="\n")
        columns = names or [f"f{i}" for i in range(x.shape[1])]
        w.writerow(columns + ["margin"] + ["contribution_" + n for n in columns] + ["base"])
        for row in np.column_stack([x, margin, contributions]).astype(np.float32):
            w.writerow([str(v) for v in row])


CONDITIONS = [0.0, -0.0, 1e-45, 1.1754944e-38, 1.0, 3.4028235e38, -3.4028235e38, float("inf"), float("-inf")]
SETS = [[0], [31, 32], [5, 64, 1000]]


def edges():
    """A hand-made model, which XGBoost reads and writes again. Tree k gives
    2^k to rows that go left and 0 to others, so that the margin, exact in
    float32, shows which way each test went."""
    tests = [(0, c, [], d) for c in CONDITIONS for d in (0, 1)] + [(1, 0.0, s, d) for s in SETS for d in (0, 1)]
    trees = [{
        "base_weights": [0.0, 0.0, 0.0], "loss_changes": [1.0, 0.0, 0.0],
        "sum_hessian": [4.0, 3.0, 1.0], "parents": [2147483647, 0, 0],
        "left_children": [1, -1, -1], "right_children": [2, -1, -1],
        "split_indices": [feature, 0, 0], "default_left": [left, 0, 0],
        "split_conditions": [condition, 2.0**k, 0.0],
        "split_type": [feature, 0, 0], "categories": codes,
        "categories_nodes": [0][:feature], "categories_segments": [0][:feature],
        "categories_sizes": [len(codes)][:feature], "id": k,
        "tree_param": {"num_deleted": "0", "num_feature": "2", "num_nodes": "3", "size_leaf_vector": "1"},
    } for k, (feature, condition, codes, left) in enumerate(tests)]
    assert len(trees) <= 24
    model = {
        "learner": {
            "attributes": {}, "feature_names": [], "feature_types": ["float", "c"],
            "gradient_booster": {"name": "gbtree", "model": {
                "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
                "iteration_indptr": list(range(len(trees) + 1)),
                "tree_info": [0] * len(trees), "trees": trees,
            }},
            "learner_model_param": {"base_score": "[5E-1]", "boost_from_average": "1", "num_class": "0",
                                    "num_feature": "2", "num_target": "1"},
            "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}},
        },
        "version": [3, 4, 1],
    }
    return xgb.Booster(model_file=bytearray(json.dumps(model), "utf-8"))


def main():
    rng = np.random.default_rng(20261122)
    x = table(rng, 3000)
    y = labels(rng, x)
    rows = np.vstack([table(rng, 40), odd_rows(x)]).astype(np.float32)
    common = dict(objective="binary:logistic", tree_method="hist", max_depth=4, eta=0.3, seed=1, nthread=1)
    numbers = [0, 1, 4]
    coded = dict(feature_types=TYPES, enable_categorical=True)

    if OLD:
        # The layouts of 1.6 to 3.0: a booster "dart" around "gbtree", a plain
        # base_score, NaN as the condition of a split by a set.
        booster = xgb.train(common | dict(booster="dart", rate_drop=0.5), xgb.DMatrix(x, y, **coded), 6)
        write("old", booster, rows, TYPES)
        return

    # Missing values; no names; weighted classes.
    booster = xgb.train(common | dict(scale_pos_weight=3), xgb.DMatrix(x[:, numbers], y), 8)
    write("numeric", booster, rows[:, numbers], None)

    # Data frame: names, levels; one set of one code (plan) or of several
    # (region), missing to either side.
    booster = xgb.train(common | dict(max_cat_to_onehot=4),
                        xgb.DMatrix(frame(x), y, enable_categorical=True), 6)
    write("categorical", booster, rows, TYPES, NAMES)

    booster = xgb.train(common | dict(rate_drop=0.5, one_drop=True), xgb.DMatrix(x, y, **coded), 6)
    write("dart", booster, rows, TYPES)

    # Early stopping, two trees an iteration.
    booster = xgb.train(common | dict(eta=1, num_parallel_tree=2, subsample=0.7),
                        xgb.DMatrix(x[:300, numbers], y[:300]), 20, early_stopping_rounds=3,
                        evals=[(xgb.DMatrix(x[300:600, numbers], y[300:600]), "valid")], verbose_eval=False)
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    write("stopped", booster, rows[:, numbers], None, rounds=booster.best_iteration + 1)

    # base_score as a margin; nodes that pruning deleted.
    booster = xgb.train(common | dict(objective="binary:logitraw", tree_method="exact", gamma=8, base_score=0.3),
                        xgb.DMatrix(x[:, numbers], y), 4)
    write("logitraw", booster, rows[:, numbers], None)

    values = np.array([np.nan, 0, -0.0, 1e-45, -1e-45, 3e-45, -3e-45, 1.1754944e-38, 1.1754942e-38,
                       1, np.nextafter(np.float32(1), np.float32(0)), -1,
                       np.nextafter(np.float32(-1), np.float32(-2)),
                       3.4028235e38, -3.4028235e38, 3.4028233e38, -3.4028233e38], np.float32)
    codes = np.array([np.nan, 0, 0.5, 4, 5, 5.9, 6, 31, 32, 33, 63, 64, 65, 999, 1000, 1001, 1e6,
                      16777215, 16777216, 1e10, 3e38, -1, -1.5, -1e10], np.float32)
    rows = np.full((len(values) + len(codes), 2), np.nan, np.float32)
    rows[: len(values), 0] = values
    rows[len(values):, 1] = codes
    write("edges", edges(), rows, ["float", "c"])


main()
