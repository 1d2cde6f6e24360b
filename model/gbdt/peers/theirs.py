"""Checks of models that LightGBM and XGBoost trained: package gbdt reads them
and gives the same raw scores. A check returns what it measured, or raises."""

import lightgbm
import numpy as np
import pandas
import xgboost

from data import Table
from ours import by_shap, mixed, numeric, rough, weighted
from program import WORK, assert_explained, assert_near, assert_same, odd, refused, scores

LIGHTGBM = {"objective": "binary", "num_leaves": 15, "seed": 1, "num_threads": 1, "verbosity": -1}
MODES = {
    "defaults": {},
    "DART": {"boosting": "dart", "drop_rate": 0.5, "skip_drop": 0},
    "random forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    "GOSS": {"data_sample_strategy": "goss", "learning_rate": 0.3},
    "cross entropy": {"objective": "cross_entropy"},
    "regression": {"objective": "regression"},
    "quantile": {"objective": "quantile", "alpha": 0.7},
    "sigmoid 0.4": {"sigmoid": 0.4},
    "zero as missing": {"zero_as_missing": True},
    "nothing missing": {"use_missing": False},
    "unbalanced": {"is_unbalance": True},
    "positive weight": {"scale_pos_weight": 3.3},
    "no average": {"boost_from_average": False},
    "monotone": {"monotone_constraints": [1, 0, -1], "monotone_constraints_method": "advanced"},
    "max_bin 2": {"max_bin": 2},
    "max_bin 5": {"max_bin": 5},
    "one leaf": {"min_data_in_leaf": 5000},
    "many leaves": {"num_leaves": 500, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0},
    "levels against the rest": {"max_cat_to_onehot": 100},
    "extra trees, smoothed": {"extra_trees": True, "path_smooth": 1, "feature_fraction": 0.5},
    "quantised": {"use_quantized_grad": True},
}


def lightgbm_mode(name) -> str:
    return agree(lightgbm_trained(name, *mixed(11)), *mixed(11))


def lightgbm_trained(name, train, held) -> lightgbm.Booster:
    params = LIGHTGBM | MODES[name]
    if "monotone_constraints" in params:  # a pattern for numbers; categories have none
        pattern = np.resize(params["monotone_constraints"], len(train.names))
        params["monotone_constraints"] = np.where(train.categorical, 0, pattern).tolist()
    return lightgbm.train(params, dataset(train), 12)


def shap_mode(name) -> str:
    """Contributions are shap's, for a model without categories. shap gets NaN
    for what LightGBM takes for missing, and 0 for what it takes for 0. No row
    is infinite: LightGBM tells shap 1e300 where a threshold is infinite."""
    train, held = numeric(16)
    model = lightgbm_trained(name, train, held)
    path = WORK / "theirs.txt"
    model.save_model(path)
    table = odd(held.head(100))
    table.X = np.clip(table.X, -3e38, 3e38)
    X = table.X.copy()
    nodes = model.trees_to_dataframe().dropna(subset=["split_feature"])
    kinds = dict(zip(nodes["split_feature"], nodes["missing_type"]))
    for j, name in enumerate(train.names):
        if kinds.get(name) == "Zero":
            X[X[:, j] == 0, j] = np.nan
        elif kinds.get(name) == "None":
            X[np.isnan(X[:, j]), j] = 0
    return assert_explained(path, table, shap=by_shap(model, X) / averaged(model, path))


def averaged(model, path) -> int:
    """By what to divide LightGBM's raw scores and contributions: those of a
    forest that averages are sums there."""
    return model.num_trees() if "\naverage_output\n" in path.read_text() else 1


def dataset(table: Table, X=None, y=None, **more) -> lightgbm.Dataset:
    return lightgbm.Dataset(table.X if X is None else X, table.y if y is None else y, feature_name=table.names,
                            categorical_feature=[n for n, c in zip(table.names, table.categorical) if c], **more)


def agree(model: lightgbm.Booster, *tables: Table) -> str:
    """Raw scores are LightGBM's to the last bit, contributions nearly."""
    path = WORK / "theirs.txt"
    model.save_model(path)
    trees = averaged(model, path)
    rows = 0
    for table in (*tables, odd(tables[-1], at_values(tables[-1]))):
        assert_same(scores(path, table), model.predict(table.X, raw_score=True) / trees)
        rows += len(table.X)
    some = table.head(100)  # of the odd rows
    theirs = model.predict(some.X, pred_contrib=True) / trees
    said = assert_explained(path, some, LightGBM=theirs)
    return f"{model.num_trees()} trees, {rows} rows, no difference; {said}"


def at_values(table: Table):
    """Features and values that occur: thresholds are next to these."""
    return [(j, x) for j, c in enumerate(table.categorical) if not c for x in table.X[:50, j] if np.isfinite(x)]


def lightgbm_early_stopping() -> str:
    train, held = mixed(12)
    first = dataset(train)
    model = lightgbm.train(LIGHTGBM | {"learning_rate": 0.5}, first, 300, valid_sets=[dataset(held, reference=first)],
                           callbacks=[lightgbm.early_stopping(5, verbose=False)])
    assert 0 < model.best_iteration < 300
    return agree(model, train, held)


def lightgbm_own_loss() -> str:
    """A loss of one's own, initial scores, weights, and more trees later."""
    def loss(score, rows):
        p = 1 / (1 + np.exp(-score))
        return p - rows.get_label(), p * (1 - p)

    train, held = weighted()
    params = LIGHTGBM | {"objective": loss}
    model = lightgbm.train(params, dataset(train, init_score=np.linspace(-1, 1, len(train.y)), weight=train.w), 5)
    model = lightgbm.train(params, dataset(train, weight=train.w), 5, init_model=model)
    return agree(model, train, held)


def lightgbm_rough() -> str:
    """Missing values that say much (a threshold of infinity), infinite values
    and all sizes that float64 has."""
    train, held = rough()
    rng = np.random.default_rng(9)
    for t in (train, held):
        t.X[:, 3] = rng.choice([np.inf, -np.inf, 1], len(t.y))
    X = train.X.astype(float)
    X[:, 1] *= 1e260
    model = lightgbm.train(LIGHTGBM, dataset(train, X), 12)
    assert "threshold=inf" in model.model_to_string() or " inf" in model.model_to_string()
    return agree(model, train, held)


def lightgbm_codes() -> str:
    """Codes with gaps, and negative ones."""
    tables = mixed(13)
    for t in tables:
        for j in np.flatnonzero(t.categorical):
            t.X[:, j] = np.array([-1, 3, 7, 64, 1000, 30_000])[t.X[:, j].astype(int) % 6]
    return agree(lightgbm.train(LIGHTGBM, dataset(tables[0]), 12), *tables)


def lightgbm_pandas() -> str:
    """Categories of pandas, words and numbers: the position counts."""
    train, held = mixed(14)

    def frame(table):
        f = pandas.DataFrame(table.X, columns=table.names)
        for i, j in enumerate(np.flatnonzero(table.categorical)):
            levels = [f"é {k}" if i else 40 - k for k in range(40)]
            f[table.names[j]] = pandas.Categorical.from_codes(table.X[:, j].astype(int), levels)
        return f

    model = lightgbm.train(LIGHTGBM, lightgbm.Dataset(frame(train), train.y), 12)
    path = WORK / "pandas.txt"
    model.save_model(path)
    assert_same(scores(path, held), model.predict(frame(held), raw_score=True))
    return f"{len(held.y)} rows, no difference"


def lightgbm_refused() -> str:
    train, held = numeric()
    path = WORK / "refused.txt"
    for params, want in (({"linear_tree": True}, "linear"),
                         ({"objective": "multiclass", "num_class": 3}, "multiclass"),
                         ({"objective": "multiclassova", "num_class": 3}, "multiclass")):
        y = np.arange(len(train.y)) % 3 if "num_class" in params else train.y
        lightgbm.train(LIGHTGBM | params, dataset(train, y=y), 2).save_model(path)
        refused(path, held, want)
    return "linear trees, multiclass, multiclassova"


XGBOOST = {"objective": "binary:logistic", "max_depth": 5, "seed": 1, "nthread": 1, "verbosity": 0}
BOOSTERS = {
    "defaults": {},
    "DART": {"booster": "dart", "rate_drop": 0.5},
    "random forest": {"num_parallel_tree": 10, "subsample": 0.6, "colsample_bynode": 0.5, "learning_rate": 1},
    "base score 0.3": {"base_score": 0.3},
    "levels against the rest": {"max_cat_to_onehot": 100},
    "sets of levels": {"max_cat_to_onehot": 1},
    "leaf-wise": {"grow_policy": "lossguide", "max_leaves": 31, "max_depth": 0},
    "exact": {"tree_method": "exact"},
    "monotone": {"monotone_constraints": "(0,1,-1)"},
    "raw": {"objective": "binary:logitraw"},
}


def xgboost_mode(name, form) -> str:
    """Raw scores are XGBoost's up to the rounding of its float32 sums, and so
    are contributions."""
    train, held = numeric() if name == "exact" else mixed(15)
    params = XGBOOST | BOOSTERS[name]
    model = xgboost.train(params, matrix(train), 20)
    path = WORK / f"theirs.{form}"
    model.save_model(path)
    trees = 20 * params.get("num_parallel_tree", 1)
    tables = [train, held, possible(odd(held, at_values(held)))]
    said = []
    for table in tables:
        theirs = model.predict(matrix(table), output_margin=True).astype(float)
        # A sum of that many float32 is off by half a unit in the last place
        # of each partial sum at most.
        most = max(1, np.abs(theirs).max()) * trees * 2.0**-24
        said.append(assert_near(scores(path, table, "xgboost"), theirs, most, "score"))
    some = tables[-1].head(100)
    theirs = model.predict(matrix(some), pred_contribs=True).astype(float)
    explained = assert_explained(path, some, "xgboost", 1e-5 * np.abs(theirs).max(), 1e-5, XGBoost=theirs)
    return (f"{trees} trees, {sum(len(t.X) for t in tables)} rows, {max(said, key=lambda s: float(s.split()[-1]))}; "
            f"{explained}")


def matrix(table: Table) -> xgboost.DMatrix:
    kinds = ["c" if c else "q" for c in table.categorical]
    return xgboost.DMatrix(table.X, table.y, feature_names=table.names, feature_types=kinds, enable_categorical=True)


def possible(table: Table) -> Table:
    """XGBoost refuses infinite numbers, and codes that are not whole numbers
    from 0."""
    X = np.where(np.isinf(table.X), np.float32(3e38), table.X)
    for j in np.flatnonzero(table.categorical):
        X[:, j] = np.where((X[:, j] >= 0) & (X[:, j] < 1e6), np.floor(X[:, j]), np.nan)
    return Table(X, table.y, table.names, table.categorical)


def xgboost_refused() -> str:
    train, held = numeric()
    path = WORK / "refused.json"
    for params, want in (({"booster": "gblinear"}, "gblinear"),
                         ({"objective": "multi:softprob", "num_class": 3}, "class")):
        y = np.arange(len(train.y)) % 3 if "num_class" in params else train.y
        xgboost.train(XGBOOST | params, xgboost.DMatrix(train.X, y), 2).save_model(path)
        refused(path, held, want, "xgboost")
    return "gblinear, multi:softprob"
