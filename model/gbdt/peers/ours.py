"""Checks of forests that package gbdt trained: what LightGBM, shap and
scikit-learn say about them. A check returns what it measured, or raises."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import lightgbm
import numpy as np
import shap
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

import data
from data import Table
from program import WORK, assert_explained, assert_near, assert_same, odd, peers, scores

# Tables to train on and held out.


def mixed(seed=1) -> tuple[Table, Table]:
    """Numbers, counts with zeros, missing values, categories of few levels."""
    return data.dense(6000, 21, seed, held=1500)


def numeric(seed=2) -> tuple[Table, Table]:
    """The numbers of a mixed table."""
    train, held = mixed(seed)
    keep = ~np.array(train.categorical)
    names = [n for n, k in zip(train.names, keep) if k]
    return tuple(Table(t.X[:, keep], t.y, names, [False] * len(names)) for t in (train, held))


def many_levels() -> tuple[Table, Table]:
    """Categories of 20 to 20,000 levels."""
    return data.high_cardinality(8000, 3, held=1500)


def weighted() -> tuple[Table, Table]:
    """Numbers, with weights, some of them 0."""
    tables = numeric(4)
    for t in tables:
        t.w = np.random.default_rng(4).choice([0, 0.5, 1, 3], len(t.y)).astype(np.float32)
    return tables


def many_rows() -> tuple[Table, Table]:
    """Mixed, and enough rows for every part of the work to be shared out."""
    return data.dense(60_000, 35, 10, held=1500)


def rough() -> tuple[Table, Table]:
    """Numbers as they should not be: missing because of the label, enormous,
    tiny, always the same, never there, and the label in disguise."""
    tables = numeric(5)
    for t, seed in zip(tables, (6, 7)):
        rng = np.random.default_rng(seed)
        t.X[:, 0] = np.where(rng.random(len(t.y)) < 0.05 + 0.7 * t.y, np.nan, t.X[:, 0])
        t.X[:, 1] *= 1e30
        t.X[:, 2] *= 1e-30
        t.X[:, 3] = 7
        t.X[:, 4] = np.nan
        t.X[:, 5] = np.where(rng.random(len(t.y)) < 0.2, 1 - t.y, t.y)
    return tables


# Our forests: the table, and Params over the defaults.
SMALL = {"Trees": 30, "Leaves": 15}
SYMMETRIC = {"Trees": 30, "Grower": "symmetric", "MaxDepth": 5}
SAMPLED = {"RowFraction": 0.6, "ColumnFraction": 0.5}
FORESTS = {
    "leaf-wise": (mixed, SMALL),
    "leaf-wise, deep": (mixed, {"Trees": 10, "Leaves": 255, "MinRows": 3, "MaxDepth": 12}),
    "leaf-wise, no minimum": (mixed, SMALL | {"MinRows": 0, "MinHessian": 0, "CatMinRows": 0, "CatSmooth": 0}),
    "leaf-wise, few bins": (mixed, SMALL | {"Bins": 6, "MinInBin": 20}),
    "leaf-wise, many levels": (many_levels, SMALL | {"TargetOrders": 0}),
    "leaf-wise, target statistics": (many_levels, SMALL),
    "leaf-wise, sampled": (mixed, SMALL | SAMPLED),
    "leaf-wise, numbers": (numeric, SMALL),
    "leaf-wise, L1 and L2": (numeric, SMALL | {"L1": 0.5, "L2": 3, "MinGain": 0.1, "LearningRate": 0.3}),
    "leaf-wise, weights": (weighted, SMALL),
    "leaf-wise, monotone": (numeric, SMALL | {"Monotone": [1, -1, 0]}),
    "leaf-wise, early stopping": (mixed, SMALL | {"Trees": 200, "LearningRate": 0.3, "Patience": 5}),
    "leaf-wise, rough": (rough, SMALL),
    "leaf-wise, many rows": (many_rows, {"Trees": 8, "Leaves": 63} | SAMPLED),
    "symmetric": (mixed, SYMMETRIC),
    "symmetric, target statistics": (many_levels, SYMMETRIC),
    "symmetric, sampled": (mixed, SYMMETRIC | SAMPLED),
    "symmetric, numbers": (numeric, SYMMETRIC),
    "symmetric, L1 and L2": (numeric, SYMMETRIC | {"L1": 0.5, "L2": 3, "MinGain": 0.1, "LearningRate": 0.3}),
    "symmetric, weights": (weighted, SYMMETRIC),
    "symmetric, rough": (rough, SYMMETRIC),
    "symmetric, many rows": (many_rows, SYMMETRIC | {"Trees": 8}),
}


@dataclass
class Forest:
    """What package gbdt trained, and LightGBM's view of the same file."""

    train: Table
    held: Table
    params: dict  # gbdt.Params that are not the default
    path: Path
    trees: list[dict]  # arrays by the names of the text format
    history: dict  # gbdt.History
    booster: lightgbm.Booster

    def param(self, name: str) -> float:
        return self.params.get(name, {"LearningRate": 0.1, "L1": 0, "L2": 0, "RowFraction": 1}[name])

    def weights(self) -> np.ndarray:
        return np.ones(len(self.train.y)) if self.train.w is None else self.train.w.astype(float)

    def base(self) -> float:
        """The score before the first tree: the log-odds of the mean label."""
        mean = np.average(self.train.y.astype(float), weights=self.weights())
        return np.log(mean / (1 - mean))


@cache
def trained(name: str) -> Forest:
    tables, params = FORESTS[name]
    return fit(name, *tables(), params)


def fit(name: str, train: Table, held: Table, params: dict, **environment) -> Forest:
    if "Monotone" in params:  # a pattern, to be repeated
        params = params | {"Monotone": np.resize(params["Monotone"], len(train.names)).tolist()}
    path = WORK / (name.replace(",", "").replace(" ", "-") + ".txt")
    train.write(WORK / "train")
    held.write(WORK / "valid")
    (WORK / "params.json").write_text(json.dumps(params))
    valid = ["-valid", WORK / "valid"] if "Patience" in params or "Metric" in params else []
    report = peers("train", "-data", WORK / "train", *valid, "-params", WORK / "params.json", "-model", path,
                   **environment)
    text = path.read_text().partition("\nTree=")[2].partition("end of trees")[0]
    trees = [dict(line.split("=") for line in block.split("\n")[1:] if line) for block in text.split("\nTree=")]
    trees = [{key: np.array(value.split(), float) for key, value in tree.items()} for tree in trees]
    return Forest(train, held, params, path, trees, json.loads(report)["history"], lightgbm.Booster(model_file=path))


def children(tree: dict, what: str):
    """Per node, what its left child and its right child have."""
    for side in ("left_child", "right_child"):
        c = tree[side].astype(int)
        yield np.where(c >= 0, tree["internal_" + what][np.maximum(c, 0)], tree["leaf_" + what][np.maximum(~c, 0)])


# Checks.


def reading(name) -> str:
    """LightGBM gives the same raw scores to the last bit, also at thresholds,
    and writes the file again byte for byte, importances included."""
    f = trained(name)
    thresholds = [(int(feature), number) for tree in f.trees for feature, number, decision
                  in zip(tree["split_feature"], tree["threshold"], tree["decision_type"]) if not int(decision) & 1]
    rows = 0
    for table in (f.train, f.held, odd(f.held, thresholds)):
        assert_same(scores(f.path, table), f.booster.predict(table.X, raw_score=True))
        rows += len(table.X)
    lines = zip(f.path.read_text().split("\n"), f.booster.model_to_string().split("\n"), strict=True)
    for i, (a, b) in enumerate(lines):
        assert a == b, f"line {i + 1} is {a!r}, LightGBM writes {b!r}"
    return f"{len(f.trees)} trees, {rows} rows, no difference"


def counts(name) -> str:
    """Leaf counts are what LightGBM counts, node counts the sums below, and
    none is 0, of which LightGBM's contributions would be NaN.

    Rows that were not drawn do not count. Where ordered target statistics
    are used, rows count where training had them, by what was known of their
    level so far; the forest sends some elsewhere, by what is known in the end.
    """
    f = trained(name)
    leaf = f.booster.predict(f.train.X, pred_leaf=True).reshape(len(f.train.X), -1)
    share, moved = f.param("RowFraction"), 0.0
    for k, tree in enumerate(f.trees):
        said, found = tree["leaf_count"].astype(int), np.bincount(leaf[:, k], minlength=len(tree["leaf_value"]))
        drawn = said.sum() / len(leaf)
        assert said.min() > 0, f"tree {k}: leaf_count {said}"
        assert abs(drawn - share) <= (0.03 if share < 1 else 0), f"tree {k}: {drawn:.3f} of the rows, want {share}"
        if ordered(f):
            moved = max(moved, np.abs(said - drawn * found).sum() / 2 / said.sum())
        elif share < 1:
            assert (said <= found).all(), f"tree {k}: leaf_count {said}, of all rows {found}"
        else:
            assert (said == found).all(), f"tree {k}: leaf_count {said}, recounted {found}"
        left, right = children(tree, "count")
        assert (left + right == tree["internal_count"]).all(), f"tree {k}: internal_count is not the sum of the leaves"
    leaves = f"{sum(len(tree['leaf_value']) for tree in f.trees)} leaves"
    return f"{leaves}, up to {moved:.1%} of a tree's rows elsewhere" if ordered(f) else leaves


def ordered(f: Forest) -> bool:
    """Whether a feature has so many levels that it gets target statistics."""
    levels = [len(np.unique(f.train.X[:, j])) for j, c in enumerate(f.train.categorical) if c]
    few = 4 if f.params.get("Grower") == "symmetric" else 64  # OneHotLevels, TargetLevels
    return f.params.get("TargetOrders") != 0 and max(levels, default=0) > few


def newton(name) -> str:
    """Leaf weights are sums of Hessians and leaf values Newton steps, from the
    scores of the trees before; those of nodes follow from those below; and
    gains are what a split adds to the sum of G²/(H+L2), L1 taken off G."""
    f = trained(name)
    w, rate, l1, l2 = f.weights(), f.param("LearningRate"), f.param("L1"), f.param("L2")
    leaf = f.booster.predict(f.train.X, pred_leaf=True).reshape(len(w), -1)
    far = dict.fromkeys(("weight", "value", "node", "gain"), 0.0)
    for k, tree in enumerate(f.trees):
        base = 0 if k else f.base()
        score = f.booster.predict(f.train.X, raw_score=True, num_iteration=k) if k else np.full(len(w), base)
        p = 1 / (1 + np.exp(-score))
        n = len(tree["leaf_value"])
        g = np.bincount(leaf[:, k], w * (p - f.train.y), n)
        h = np.bincount(leaf[:, k], w * p * (1 - p), n)
        step = -rate * np.sign(g) * np.maximum(np.abs(g) - l1, 0) / (h + l2)
        far["weight"] = max(far["weight"], np.abs(tree["leaf_weight"] / h - 1).max())
        far["value"] = max(far["value"], np.abs(tree["leaf_value"] - base - step).max())

        (vl, vr), (wl, wr) = children(tree, "value"), children(tree, "weight")
        v, weight = tree["internal_value"] - base, tree["internal_weight"]
        assert np.allclose(wl + wr, weight, rtol=1e-5), f"tree {k}: internal_weight is not the sum of the leaves"
        left, right, all_ = (vl - base) ** 2 * (wl + l2), (vr - base) ** 2 * (wr + l2), v ** 2 * (weight + l2)
        # A leaf of a level may lose by the question that all are asked.
        gain = np.maximum(0, left + right - all_) / rate ** 2
        far["gain"] = max(far["gain"], (np.abs(gain - tree["split_gain"]) / (gain + all_ / rate ** 2)).max())
        if l1 == 0:
            mean = ((vl - base) * (wl + l2) + (vr - base) * (wr + l2)) / (weight + l2)
            far["node"] = max(far["node"], np.abs(v - mean).max())
    # The file has six digits of what no score depends on, and the search for
    # splits works with rounded derivatives.
    tolerance = {"weight": 1e-6, "value": 1e-6, "node": 1e-4, "gain": 0.01}
    for what, distance in far.items():
        assert distance < tolerance[what], f"{what} differs by {distance:.2g}, tolerance {tolerance[what]:.2g}"
    return ", ".join(f"{what} within {distance:.1e}" for what, distance in far.items())


def shapley(name) -> str:
    """Our contributions, LightGBM's and shap's are the same and add up."""
    f = trained(name)
    table = odd(f.held.head(200))
    theirs = {"LightGBM": f.booster.predict(table.X, pred_contrib=True)}
    if not any(table.categorical):
        theirs["shap"] = by_shap(f.booster, table.X)
    return assert_explained(f.path, table, **theirs)


def by_shap(model: lightgbm.Booster, X) -> np.ndarray:
    """Contributions by shap's own code, which cannot split by categories."""
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    explainer.model.model_type = "internal"  # else it asks LightGBM
    return explainer.shap_values(X.astype(float))


def importances(name) -> str:
    """LightGBM's importances are those in the file and follow from its trees."""
    f = trained(name)
    section = f.path.read_text().partition("feature_importances:\n")[2].partition("\n\n")[0]
    written = dict(line.rsplit("=", 1) for line in section.split("\n"))
    gains = np.zeros(len(f.train.names))
    for tree in f.trees:
        np.add.at(gains, tree["split_feature"].astype(int), tree["split_gain"])
    splits = f.booster.feature_importance("split")
    for feature, number in zip(f.train.names, splits, strict=True):
        assert int(written.get(feature, 0)) == number, f"{feature}: file says {written.get(feature)}, LightGBM {number}"
    theirs = f.booster.feature_importance("gain")
    assert np.allclose(theirs, gains, rtol=1e-5), f"gains in LightGBM {theirs}, in the file {gains}"
    return f"{splits.sum()} splits, gain {gains.sum():.5g}"


def monotone(name) -> str:
    """Scores go the right way along a grid of every constrained feature."""
    f = trained(name)
    rows = odd(f.held.head(60)).X
    moves = 0
    for j, direction in enumerate(f.params["Monotone"]):
        if direction == 0:
            continue
        seen = f.train.X[:, j]
        grid = np.unique(np.append(seen[~np.isnan(seen)][::10], [-3e38, 0, 3e38]).astype(np.float32))
        X = np.repeat(rows, len(grid), axis=0)
        X[:, j] = np.tile(grid, len(rows))
        s = scores(f.path, Table(X, f.train.y, f.train.names, f.train.categorical)).reshape(len(rows), -1)
        moved = np.diff(s, axis=1) * direction
        assert moved.min() >= 0, f"{f.train.names[j]}: score goes the wrong way by {-moved.min():.3g}"
        moves += (moved > 0).sum()
    assert moves > 0, "no constrained feature has any effect"
    return f"{moves} moves, none in the wrong direction"


METRICS = {"logloss": lambda y, s, w: log_loss(y, 1 / (1 + np.exp(-s)), sample_weight=w),
           "auc": lambda y, s, w: roc_auc_score(y, s, sample_weight=w),
           "average_precision": lambda y, s, w: average_precision_score(y, s, sample_weight=w)}


def early_stopping(metric, grower) -> str:
    """The history, and the tree training goes back to, are those that
    scikit-learn's metric gives for a forest that was not stopped."""
    train, held = weighted()
    params = grower | {"Trees": 60, "LearningRate": 0.3, "Metric": metric}
    whole = fit("whole", train, held, params)
    stopped = fit("stopped", train, held, params | {"Patience": 5})
    want = np.array([METRICS[metric](held.y, whole.booster.predict(held.X, raw_score=True, num_iteration=k + 1), held.w)
                     for k in range(len(whole.trees))])
    valid = np.array(stopped.history["Valid"])
    said = assert_near(valid, want[:len(valid)], 1e-9, metric)
    cost = want if metric == "logloss" else -want
    best = last = 0
    while last - best < 5:
        last += 1
        if cost[last] < cost[best]:
            best = last
    assert len(valid) == last + 1, f"stopped after {len(valid)} trees, want {last + 1}"
    assert stopped.history["Best"] == len(stopped.trees) == best + 1, (
        f"best is {stopped.history['Best']}, {len(stopped.trees)} trees are kept, want {best + 1}")
    for k, (a, b) in enumerate(zip(stopped.trees, whole.trees)):
        assert all((a[key] == b[key]).all() for key in b), f"tree {k} is not that of the whole forest"
    return f"{said}, best of {len(valid)} trees is {best + 1}"


def same_bytes(name) -> str:
    """Workers, processors and instruction sets change no byte."""
    tables, params = FORESTS[name]
    want = trained(name).path.read_bytes()
    runs = [(workers, {}) for workers in (1, 2, 3)]
    runs += [(0, {"GOMAXPROCS": n}) for n in "12"]
    runs += [(2, {"GODEBUG": "cpu.avx512f=off"}), (2, {"GODEBUG": "cpu.avx512f=off,cpu.avx2=off"})]
    for workers, environment in runs:
        again = fit("again", *tables(), params | {"Workers": workers}, **environment)
        assert again.path.read_bytes() == want, f"other bytes with {workers} workers, {environment or 'nothing else'}"
    return f"{len(runs)} runs, {len(want)} bytes"
