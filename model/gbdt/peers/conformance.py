"""Holds package gbdt against Python's LightGBM, XGBoost, shap and scikit-learn.

    make conformance
    python conformance.py [PART OF A NAME ...]

Runs all checks, or those with one of the parts in their name; prints a line
for each, and ends with status 1 if one failed. ours.py has the checks of
forests that package gbdt trained, theirs.py those of models that the others
trained.
"""

import logging
import os
import shutil
import sys
import time
import warnings

# The tables are small, and OpenMP's threads spin while they wait for another
# that has no processor. To be said before it is loaded.
os.environ["OMP_NUM_THREADS"] = "1"

import lightgbm

import ours
import program
import theirs


def checks():
    """Name, function and arguments of every check."""
    for name in ours.FORESTS:
        yield f"LightGBM reads: {name}", ours.reading, name
    for name in ours.FORESTS:
        yield f"counts: {name}", ours.counts, name
    for name in ours.FORESTS:
        if any(part in name for part in ("numbers", "L1 and L2", "weights")):
            yield f"Newton steps: {name}", ours.newton, name
    for name in ours.FORESTS:
        yield f"contributions: {name}", ours.shapley, name
    for name in ours.FORESTS:
        yield f"importances: {name}", ours.importances, name
    yield "monotone on a grid", ours.monotone, "leaf-wise, monotone"
    for metric in ours.METRICS:
        for grower, params in (("leaf-wise", ours.SMALL), ("symmetric", ours.SYMMETRIC)):
            yield f"early stopping: {metric}, {grower}", ours.early_stopping, metric, params
    for name in ours.FORESTS:
        yield f"same bytes: {name}", ours.same_bytes, name

    for mode in theirs.MODES:
        yield f"LightGBM's: {mode}", theirs.lightgbm_mode, mode
    for mode in theirs.MODES:
        yield f"shap: {mode}", theirs.shap_mode, mode
    yield "LightGBM's: early stopping", theirs.lightgbm_early_stopping
    yield "LightGBM's: own loss, initial scores, continued", theirs.lightgbm_own_loss
    yield "LightGBM's: rough numbers", theirs.lightgbm_rough
    yield "LightGBM's: codes with gaps", theirs.lightgbm_codes
    yield "LightGBM's: pandas categories", theirs.lightgbm_pandas
    yield "LightGBM's: refused", theirs.lightgbm_refused
    for mode in theirs.BOOSTERS:
        for form in ("json", "ubj"):
            yield f"XGBoost's: {mode}, {form}", theirs.xgboost_mode, mode, form
    yield "XGBoost's: refused", theirs.xgboost_refused


def main(parts) -> int:
    warnings.filterwarnings("ignore", module="lightgbm")
    quiet = logging.getLogger("quiet")
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    lightgbm.register_logger(quiet)  # it warns of our parameters that it does not know
    program.build()
    total = failed = 0
    for name, function, *arguments in checks():
        if parts and not any(part in name for part in parts):
            continue
        total += 1
        start = time.perf_counter()
        try:
            result, said = "ok  ", function(*arguments)
        except Exception as e:  # of any kind: the other checks are still to run
            result, said = "FAIL", f"{type(e).__name__}: {e}"
            failed += 1
        print(f"{result} {name}: {said} ({time.perf_counter() - start:.1f} s)", flush=True)
    print(f"{total} checks, {failed} failed")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    finally:
        shutil.rmtree(program.WORK)
