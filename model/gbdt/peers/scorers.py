"""What bench_score.py measures: the models, and the engines that score them.

An engine answers cost(work, first, rows), how long so many rows took from
first on, and result(work, first, rows), what came out.
"""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Waiting threads sleep instead of spinning; to be said before a library that
# uses OpenMP is loaded.
os.environ["OMP_WAIT_POLICY"] = "passive"
os.environ["OMP_NUM_THREADS"] = "2"

import lightgbm
import numpy as np
import xgboost

import data
from bench import HERE, ROOT

OUT = ROOT / "run" / "bench-score"
GO = os.environ.get("GO", "go")
THREADS = 2  # of a batch; single rows have one

OURS, TEXTBOOK, LEAVES = "ours", "textbook algorithm (Go)", "leaves (Go)"
CAPI, XGB, PYTHON = "LightGBM (C API)", "XGBoost (Python)", "LightGBM (Python)"


def build():
    """Our program, that of leaves, and LightGBM's C API without Python."""
    subprocess.run([GO, "build", "-trimpath", "-o", OUT / "peers", "./model/gbdt/peers"], cwd=ROOT, check=True)
    subprocess.run([GO, "build", "-trimpath", "-o", OUT / "leaves", "."], cwd=HERE / "leaves", check=True)
    library = next((Path(lightgbm.__file__).parent / "lib").glob("lib_lightgbm.*"))
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", OUT / "lightgbm", HERE / "capi" / "lightgbm.c", library,
                    f"-Wl,-rpath,{library.parent}"], check=True)


@dataclass
class Models:
    ordinary: Path
    symmetric: Path
    xgboost: Path


def fit(train, plan, many) -> Models:
    """Trains the models; if many, also the two large ones that are loaded."""
    work = OUT / "work"
    models = Models(work / "ordinary.txt", work / "symmetric.txt", work / "xgboost.ubj")
    params = {"objective": "binary", "num_leaves": plan.leaves, "num_threads": THREADS, "seed": 1, "verbosity": -1}

    def ordinary(table, trees, path):
        codes = [j for j, c in enumerate(table.categorical) if c]
        rows = lightgbm.Dataset(table.X, table.y, feature_name=table.names, categorical_feature=codes)
        lightgbm.train(params, rows, trees).save_model(path)

    def symmetric(table, trees, path):
        table.write(work / "train")
        (work / "params.json").write_text(json.dumps({"Trees": trees, "Grower": "symmetric", "MaxDepth": 6}))
        subprocess.run([OUT / "peers", "train", "-data", work / "train", "-params", work / "params.json",
                        "-model", path, "-workers", str(THREADS)], check=True, stdout=subprocess.DEVNULL)

    ordinary(train, plan.trees, models.ordinary)
    symmetric(train, plan.trees, models.symmetric)
    rows = xgboost.QuantileDMatrix(train.X, train.y, feature_types=kinds(train), enable_categorical=True, nthread=THREADS)
    xgboost.train({"objective": "binary:logistic", "grow_policy": "lossguide", "max_depth": 0, "max_leaves": plan.leaves,
                   "learning_rate": 0.1, "nthread": THREADS, "seed": 1, "verbosity": 0}, rows,
                  plan.trees).save_model(models.xgboost)
    if many:
        some = train.head(plan.rows // 2)  # as many leaves in less time
        ordinary(some, plan.many, work / "many-ordinary.txt")
        symmetric(some, plan.many, work / "many-symmetric.txt")
    return models


def kinds(table):
    return ["c" if c else "q" for c in table.categorical]


# ---- Engines


class Program:
    """A process that has a model and rows and answers requests, one a line."""

    def __init__(self, *command):
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=os.environ | {"GOMAXPROCS": str(THREADS)})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def cost(self, work, first, rows, path="") -> dict:
        try:
            print(work, first, rows, path, file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as e:  # it has said why
            raise RuntimeError(f"{self.process.args} ended with status {self.process.wait()}") from e

    def result(self, work, first, rows) -> np.ndarray:
        path = OUT / "work" / "result.f64"
        self.cost(work, first, rows, path)
        return np.fromfile(path, "<f8").reshape(rows, -1)


class Textbook:
    """Our program, asked for the textbook's algorithm."""

    def __init__(self, program):
        self.program = program

    def cost(self, work, first, rows):
        return self.program.cost("textbook", first, rows)

    def result(self, work, first, rows):
        return self.program.result("textbook", first, rows)


class Library:
    """A function of Python: of the work and rows of values."""

    def __init__(self, X, prepare, score):
        self.X, self.prepare, self.score = X, prepare, score

    def cost(self, work, first, rows) -> dict:
        prepared = self.prepare(work, self.X[first:first + rows])
        cpu, wall = time.process_time(), time.perf_counter()
        self.score(work, prepared)
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}

    def result(self, work, first, rows) -> np.ndarray:
        return np.asarray(self.score(work, self.prepare(work, self.X[first:first + rows])), float).reshape(rows, -1)


def start(stack, models, held) -> dict:
    """The engines of each model, by model and name."""
    rows = OUT / "work" / "rows"

    def ours(path, form):
        return stack.enter_context(Program(OUT / "peers", "score", "-data", rows, "-model", path, "-format", form))

    engines = {}
    for model, path in (("ordinary", models.ordinary), ("symmetric", models.symmetric)):
        program = ours(path, "lightgbm")
        engines |= {(model, OURS): program, (model, TEXTBOOK): Textbook(program)}
        engines[model, CAPI] = stack.enter_context(Program(OUT / "lightgbm", path, rows / "X.f32", len(held.names)))
    # leaves refuses version 4, whose trees are the same.
    old = OUT / "work" / "version-3.txt"
    old.write_text(models.ordinary.read_text().replace("version=v4", "version=v3", 1))
    engines["ordinary", LEAVES] = stack.enter_context(Program(OUT / "leaves", old, rows / "X.f32", len(held.names)))
    program = ours(models.xgboost, "xgboost")
    booster = xgboost.Booster({"nthread": 1}, model_file=models.xgboost)
    engines |= {("XGBoost's", OURS): program, ("XGBoost's", TEXTBOOK): Textbook(program),
                ("XGBoost's", XGB): xgboost_library(booster, held)}
    return engines


def xgboost_library(booster, held):
    """Margins one row a call; contributions of rows of a DMatrix made before."""
    def prepare(work, X):
        if work == "reasons":
            return xgboost.DMatrix(X, feature_types=kinds(held), enable_categorical=True, nthread=1)
        return [X[i:i + 1] for i in range(len(X))]

    def score(work, rows):
        if work == "reasons":
            return booster.predict(rows, pred_contribs=True)
        return [booster.inplace_predict(row, predict_type="margin", validate_features=False)[0] for row in rows]

    return Library(held.X, prepare, score)


def start_batch(stack, models) -> dict:
    rows = OUT / "work" / "batch"
    X = data.read(rows).X
    engines = {}
    for model, path in (("ordinary", models.ordinary), ("symmetric", models.symmetric)):
        booster = lightgbm.Booster(model_file=path)
        engines[model, OURS] = stack.enter_context(
            Program(OUT / "peers", "score", "-data", rows, "-model", path))
        engines[model, PYTHON] = Library(X, lambda work, rows: rows, lambda work, rows, booster=booster: booster.predict(
            rows, raw_score=True, num_threads=THREADS))
    return engines
