"""One training run of one library in a process of its own.

    python trainers.py NAME TRAIN_DIR HELD_DIR RAW_FILE SETTINGS

trains NAME on the table in TRAIN_DIR, writes the raw scores (log-odds) of the
rows in HELD_DIR to RAW_FILE as float64, and prints what training cost as a
line of JSON. SETTINGS is JSON: rows of trees, leaves, rate, bins, min_rows,
min_hessian, threads.

Binning and boosting are clocked apart; loading the data and predicting are
not clocked. Before the clock starts, two trees are grown on 1,000 rows, so
that no library pays for what it imports late or for starting its threads.

Where the libraries differ, which no setting can help:
 - XGBoost has no least number of rows in a leaf. min_child_weight is the
   Hessian that min_rows average rows have before the first tree.
 - XGBoost and HistGradientBoosting do not shrink the values of leaves behind
   a split by categories (LightGBM's cat_l2) or smooth their order.
 - HistGradientBoosting takes 255 levels of a category at most; rarer ones are
   made missing here. It converts its input to float64 inside fit.
 - CatBoost runs with its own defaults, whose trees are symmetric and of depth
   6; only the number of trees, the rate and the bins are set. It bins inside
   fit, and is not clocked apart.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import data


class Clock:
    """Adds up the wall and CPU seconds of this process by phase."""

    def __init__(self):
        self.wall = {"bin": 0.0, "train": 0.0}
        self.cpu = {"bin": 0.0, "train": 0.0}

    @contextmanager
    def __call__(self, phase):
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[phase] += time.perf_counter() - wall
        self.cpu[phase] += time.process_time() - cpu

    def move(self, source, target, wall, cpu):
        """Takes what was clocked within source and belongs to target there."""
        for clock, seconds in ((self.wall, wall), (self.cpu, cpu)):
            clock[source] -= seconds
            clock[target] += seconds


@dataclass
class Fitted:
    raw_scores: Callable  # of rows of values, in log-odds
    leaves: Callable  # how many each tree has


def lightgbm(table, s, clock):
    import lightgbm as library

    params = {
        "objective": "binary", "num_leaves": s["leaves"], "learning_rate": s["rate"], "max_bin": s["bins"],
        "min_data_in_leaf": s["min_rows"], "min_sum_hessian_in_leaf": s["min_hessian"], "lambda_l2": 0,
        "num_threads": s["threads"], "seed": 1, "verbose": -1,
    }
    with clock("bin"):
        rows = library.Dataset(table.X, table.y, categorical_feature=codes(table), params=params).construct()
    with clock("train"):
        model = library.train(params, rows, s["trees"])
    return Fitted(lambda X: model.predict(X, raw_score=True),
                  lambda: [tree["num_leaves"] for tree in model.dump_model()["tree_info"]])


def xgboost(table, s, clock):
    import xgboost as library

    kinds = {"feature_types": ["c" if c else "q" for c in table.categorical], "enable_categorical": True}
    share = table.y.mean()
    params = {
        "objective": "binary:logistic", "tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0,
        "max_leaves": s["leaves"], "learning_rate": s["rate"], "max_bin": s["bins"] + 1,
        "min_child_weight": max(s["min_hessian"], s["min_rows"] * share * (1 - share)), "reg_lambda": 0,
        "max_cat_to_onehot": 5, "nthread": s["threads"], "seed": 1, "verbosity": 1,
    }
    with clock("bin"):
        rows = library.QuantileDMatrix(table.X, table.y, max_bin=params["max_bin"], nthread=s["threads"], **kinds)
    with clock("train"):
        model = library.train(params, rows, s["trees"])
    return Fitted(lambda X: model.predict(library.DMatrix(X, **kinds), output_margin=True),
                  lambda: [text.count("leaf=") for text in model.get_dump()])


def hgb(table, s, clock):
    from sklearn.ensemble import HistGradientBoostingClassifier

    class Clocked(HistGradientBoostingClassifier):
        def _bin_data(self, *args, **kwargs):
            wall, cpu = time.perf_counter(), time.process_time()
            binned = super()._bin_data(*args, **kwargs)
            clock.move("train", "bin", time.perf_counter() - wall, time.process_time() - cpu)
            return binned

    narrow = few_levels(table, s["bins"])
    model = Clocked(
        max_iter=s["trees"], max_leaf_nodes=s["leaves"], learning_rate=s["rate"], max_bins=s["bins"],
        min_samples_leaf=s["min_rows"], l2_regularization=0, early_stopping=False,
        categorical_features=np.array(table.categorical), random_state=1,
    )
    X = narrow(table.X)
    with clock("train"):
        model.fit(X, table.y)
    return Fitted(lambda X: model.decision_function(narrow(X)),
                  lambda: [predictor.get_n_leaf_nodes() for predictor, in model._predictors])


def catboost(table, s, clock):
    import catboost as library
    import pandas

    def pool(X, y=None):
        frame = pandas.DataFrame(X)
        for j in codes(table):  # categories have to be integers
            frame[j] = frame[j].fillna(-1).astype(np.int32)
        return library.Pool(frame, y, cat_features=codes(table), thread_count=s["threads"])

    model = library.CatBoostClassifier(
        iterations=s["trees"], learning_rate=s["rate"], border_count=s["bins"] - 1, loss_function="Logloss",
        thread_count=s["threads"], random_seed=1, allow_writing_files=False, verbose=False,
    )
    rows = pool(table.X, table.y)
    with clock("train"):
        model.fit(rows)
    return Fitted(lambda X: model.predict(pool(X), prediction_type="RawFormulaVal"), model.get_tree_leaf_counts)


TRAINERS = {"lightgbm": lightgbm, "xgboost": xgboost, "hgb": hgb, "catboost": catboost}


def codes(table):
    """The numbers of the features that are categories."""
    return [j for j, c in enumerate(table.categorical) if c]


def few_levels(table, limit):
    """Returns a function that makes all but the most frequent levels of each
    category missing, and numbers the rest from 0, if there are too many."""
    kept = {}
    for j in codes(table):
        levels, counts = np.unique(table.X[:, j][~np.isnan(table.X[:, j])], return_counts=True)
        if len(levels) > limit or levels.max(initial=0) >= limit:
            kept[j] = np.sort(levels[np.argsort(-counts, kind="stable")[:limit]])

    def narrow(X):
        if not kept:
            return X
        X = X.copy()
        for j, levels in kept.items():
            at = np.minimum(np.searchsorted(levels, X[:, j]), len(levels) - 1)
            X[:, j] = np.where(levels[at] == X[:, j], at, np.nan)
        return X

    return narrow


def resident(field):
    """A field of /proc/self/status in MiB: VmRSS, or VmHWM for the peak."""
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def main():
    name, train_dir, held_dir, raw_file, settings = sys.argv[1:]
    fit, s = TRAINERS[name], json.loads(settings)
    table = data.read(Path(train_dir))

    fit(table.head(1000), s | {"trees": 2}, Clock())
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before, clock = resident("VmRSS"), Clock()
    model = fit(table, s, clock)
    peak, leaves = resident("VmHWM"), model.leaves()
    report = {
        "bin_wall": clock.wall["bin"], "bin_cpu": clock.cpu["bin"],
        "train_wall": clock.wall["train"], "train_cpu": clock.cpu["train"],
        "rss_before": before, "peak": peak,
        "trees": len(leaves), "leaves": float(np.mean(leaves)),
    }
    np.asarray(model.raw_scores(data.read(Path(held_dir)).X), "<f8").tofile(raw_file)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
