"""One engine on one division of one set, in a process of its own.

    python learners.py NAME DIRECTORY TRIALS SEED

fits NAME on train.parquet of the directory, and prints AUC and log loss on
test.parquet and what fitting cost as a line of JSON. 0 trials: the settings the
library comes with. Otherwise Optuna (TPE) looks for the settings of least log
loss over five folds of the training rows, the same for all, in which a customer
is in one fold only; boosting stops when it has not fallen for 50 trees on the
fold left out, and is fitted again on all rows with the mean number of trees. The
first settings tried are the library's own; a trial that is behind the median of
the others after a fold is given up.

The clock runs while fitting and searching, not while files are read. Categories
are categories for the three that boost, one-hot for the logistic regression,
whose numbers are standardised and where missing the median, with a column that
says so.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

THREADS = 2
MOST_TREES = 2000
PATIENCE = 50


def categories(train: pd.DataFrame) -> dict[str, pd.CategoricalDtype]:
    """The columns of texts with the levels that training has."""
    return {c: pd.CategoricalDtype(sorted(train[c].dropna().unique())) for c in train if train[c].dtype.kind not in "biuf"}


class LightGBM:
    first = {"num_leaves": 31, "learning_rate": 0.1, "min_child_samples": 20, "colsample_bytree": 1.0, "subsample": 1.0,
             "reg_alpha": 1e-8, "reg_lambda": 1e-8}

    def encode(self, x, levels):
        return x.astype(levels)

    def space(self, t):
        return {"num_leaves": t.suggest_int("num_leaves", 3, 128, log=True),
                "learning_rate": t.suggest_float("learning_rate", 0.02, 0.2, log=True),
                "min_child_samples": t.suggest_int("min_child_samples", 5, 200, log=True),
                "colsample_bytree": t.suggest_float("colsample_bytree", 0.2, 1),
                "subsample": t.suggest_float("subsample", 0.5, 1),
                "reg_alpha": t.suggest_float("reg_alpha", 1e-8, 10, log=True),
                "reg_lambda": t.suggest_float("reg_lambda", 1e-8, 10, log=True), "subsample_freq": 1}

    def fit(self, x, y, seed, settings, trees=None, stop=None):
        import lightgbm as lib

        own = {} if trees is None else {"n_estimators": trees}
        model = lib.LGBMClassifier(random_state=seed, n_jobs=THREADS, verbose=-1, **own, **settings)
        if stop is None:
            return model.fit(x, y), None
        model.fit(x, y, eval_X=stop[0], eval_y=stop[1], eval_metric="binary_logloss", callbacks=[lib.early_stopping(PATIENCE, verbose=False)])
        return model, model.best_iteration_


class XGBoost:
    first = {"max_depth": 6, "learning_rate": 0.3, "min_child_weight": 1.0, "colsample_bytree": 1.0, "subsample": 1.0,
             "reg_alpha": 1e-8, "reg_lambda": 1.0}

    def encode(self, x, levels):
        return x.astype(levels)

    def space(self, t):
        return {"max_depth": t.suggest_int("max_depth", 1, 10),
                "learning_rate": t.suggest_float("learning_rate", 0.02, 0.3, log=True),
                "min_child_weight": t.suggest_float("min_child_weight", 0.5, 100, log=True),
                "colsample_bytree": t.suggest_float("colsample_bytree", 0.2, 1),
                "subsample": t.suggest_float("subsample", 0.5, 1),
                "reg_alpha": t.suggest_float("reg_alpha", 1e-8, 10, log=True),
                "reg_lambda": t.suggest_float("reg_lambda", 1e-8, 100, log=True)}

    def fit(self, x, y, seed, settings, trees=None, stop=None):
        import xgboost as lib

        own = {} if trees is None else {"n_estimators": trees}
        if stop is not None:
            own |= {"early_stopping_rounds": PATIENCE, "eval_metric": "logloss"}
        model = lib.XGBClassifier(enable_categorical=True, random_state=seed, n_jobs=THREADS, **own, **settings)
        if stop is None:
            return model.fit(x, y), None
        model.fit(x, y, eval_set=[stop], verbose=False)
        return model, model.best_iteration + 1


class CatBoost:
    first = {"depth": 6, "learning_rate": 0.03, "l2_leaf_reg": 3.0, "random_strength": 1.0, "bagging_temperature": 1.0, "rsm": 1.0}

    def encode(self, x, levels):
        # It has no missing categories.
        return x.assign(**{c: x[c].fillna("missing").astype(str) for c in levels})

    def space(self, t):
        return {"depth": t.suggest_int("depth", 2, 8),
                "learning_rate": t.suggest_float("learning_rate", 0.02, 0.2, log=True),
                "l2_leaf_reg": t.suggest_float("l2_leaf_reg", 1, 30, log=True),
                "random_strength": t.suggest_float("random_strength", 0.1, 10, log=True),
                "bagging_temperature": t.suggest_float("bagging_temperature", 0, 1),
                "rsm": t.suggest_float("rsm", 0.2, 1), "bootstrap_type": "Bayesian"}

    def fit(self, x, y, seed, settings, trees=None, stop=None):
        import catboost as lib

        own = {} if trees is None else {"iterations": trees}
        model = lib.CatBoostClassifier(random_seed=seed, thread_count=THREADS, verbose=False, allow_writing_files=False,
                                       cat_features=[c for c in x if x[c].dtype.kind not in "biuf"], **own, **settings)
        if stop is None:
            return model.fit(x, y), None
        model.fit(x, y, eval_set=stop, early_stopping_rounds=PATIENCE)
        return model, model.get_best_iteration() + 1


class Logistic:
    first = {"C": 1.0}

    def encode(self, x, levels):
        return x.astype(levels)

    def space(self, t):
        return {"C": t.suggest_float("C", 1e-4, 100, log=True)}

    def fit(self, x, y, seed, settings, trees=None, stop=None):
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        texts = [c for c in x if x[c].dtype.kind not in "biuf"]
        values = make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler())
        columns = make_column_transformer((values, [c for c in x if c not in texts]), (OneHotEncoder(handle_unknown="ignore"), texts))
        return make_pipeline(columns, LogisticRegression(max_iter=2000, **settings)).fit(x, y), None


ENGINES = {"lightgbm": LightGBM, "xgboost": XGBoost, "catboost": CatBoost, "logistic": Logistic}


def folds(train: pd.DataFrame, seed: int) -> list:
    kind = StratifiedKFold if train.customer_id.is_unique else StratifiedGroupKFold
    return list(kind(5, shuffle=True, random_state=seed).split(train, train.churned, train.customer_id))


def search(engine, x, y, parts, trials: int, seed: int):
    """The best settings and their number of trees."""

    def loss(trial):
        settings = engine.space(trial)
        total, counts = 0.0, []
        for step, (rows, left) in enumerate(parts):
            out = x.iloc[left], y.iloc[left]
            model, trees = engine.fit(x.iloc[rows], y.iloc[rows], seed, settings, MOST_TREES, out)
            total += log_loss(out[1], model.predict_proba(out[0])[:, 1], labels=[0, 1])
            counts.append(trees)
            trial.report(total / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        trial.set_user_attr("trees", None if counts[0] is None else max(1, round(np.mean(counts))))
        trial.set_user_attr("settings", settings)
        return total / len(parts)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner())
    study.enqueue_trial(engine.first)
    study.optimize(loss, n_trials=trials)
    return study.best_trial.user_attrs["settings"], study.best_trial.user_attrs["trees"]


def main(name: str, directory: Path, trials: int, seed: int) -> None:
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    train, test = (pd.read_parquet(directory / f"{part}.parquet") for part in ("train", "test"))
    engine = ENGINES[name]()
    labels = ["customer_id", "churned"]
    levels = categories(train.drop(columns=labels))
    x, y = engine.encode(train.drop(columns=labels), levels), train.churned
    parts = folds(train, seed)
    few = train.groupby("churned").head(250).index
    engine.fit(x.loc[few], y.loc[few], seed, {}, 2)  # imports, threads
    wall, cpu = time.perf_counter(), time.process_time()
    settings, trees = search(engine, x, y, parts, trials, seed) if trials else ({}, None)
    model, _ = engine.fit(x, y, seed, settings, trees)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    p = model.predict_proba(engine.encode(test.drop(columns=labels), levels))[:, 1]
    print(json.dumps({"auc": roc_auc_score(test.churned, p), "log_loss": log_loss(test.churned, p, labels=[0, 1]),
                      "wall": wall, "cpu": cpu, "settings": settings, "trees": trees}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
