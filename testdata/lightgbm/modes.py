"""Makes the golden files of the less usual ways to train, with LightGBM 4.7.0.

    python3 -m venv venv
    venv/bin/pip install lightgbm==4.7.0 numpy==2.4.6 pandas==3.1.1
    venv/bin/python modes.py

Files as make.py writes them; the last three models are to be refused.
"""

import lightgbm
import numpy as np
import pandas as pd

from make import NAMES, labels, odd_rows, save, table


def main():
    assert lightgbm.__version__ == "4.7.0", lightgbm.__version__
    rng = np.random.default_rng(20261123)
    x = table(rng, 2000)
    y = labels(rng, x)
    rows = np.vstack([table(rng, 10), odd_rows(x)])
    common = dict(
        objective="binary", num_leaves=6, min_data_in_leaf=20, min_data_per_group=20,
        seed=1, deterministic=True, num_threads=1, verbosity=-1,
    )

    def dataset(data=x, label=y, categorical=("plan", "region"), **more):
        return lightgbm.Dataset(data, label, feature_name=NAMES, categorical_feature=list(categorical), **more)

    def train(trees, data, **params):
        return lightgbm.train(common | params, data, trees)

    # Trees that were dropped and scaled; classes weighted; a flat link.
    save("dart", train(6, dataset(), boosting="dart", drop_rate=0.5, skip_drop=0, is_unbalance=True, sigmoid=0.4), rows)

    # Labels are probabilities; rows have weights; the first tree is like any
    # other. Stopped early, so that fewer trees are saved than were trained.
    p = np.clip(0.8 * y + 0.2 * rng.random(len(y)), 0, 1)
    first = dataset(x[:1200], p[:1200], weight=rng.random(1200))
    entropy = lightgbm.train(
        common | dict(objective="cross_entropy", boost_from_average=False, learning_rate=0.5),
        first, 50, valid_sets=[dataset(x[1200:], p[1200:], reference=first)],
        callbacks=[lightgbm.early_stopping(2, verbose=False)],
    )
    assert 1 < entropy.best_iteration < 10
    save("entropy", entropy, rows)

    # Whether a value is missing is the best question: the threshold is inf.
    gaps = x.copy()
    gaps[:, 0] = np.where(rng.random(len(y)) < 0.1 + 0.8 * y, np.nan, x[:, 0])
    missing = train(4, dataset(gaps), max_bin=4)
    assert "threshold=inf" in missing.model_to_string()
    save("missing", missing, rows)

    # Loss of one's own, from given scores: there is no line "objective".
    def loss(score, data):
        p = 1 / (1 + np.exp(-score))
        return p - data.get_label(), p * (1 - p)

    save("custom", train(4, dataset(init_score=np.linspace(-1, 1, len(y))), objective=loss), rows)

    # Codes with gaps, and negative ones, which count as missing; one level
    # against the rest.
    coded = x.copy()
    coded[:, 2] = np.array([-1, 5, 70, 1000])[x[:, 2].astype(int)]
    coded[::9, 3] = np.nan
    wide = rows.copy()
    wide[:8, 2] = [5, 70, 1000, 1001, 999, 6, 0, 64]
    save("codes", train(4, dataset(coded), max_cat_to_onehot=100, zero_as_missing=True), wide)

    # Categories that are numbers.
    numbers = pd.DataFrame(x, columns=NAMES)
    numbers["plan"] = pd.Categorical.from_codes(x[:, 2].astype(int), [30, 10, 20, 7])
    save("numbers", lightgbm.train(common, lightgbm.Dataset(numbers, y), 2), rows)

    # Numbers of any size, and another objective.
    huge = x.copy()
    huge[:, 0] = (x[:, 0] - 30) * 1e299
    huge[:, 1] *= 1e-34
    huge[:, 4] = np.where(x[:, 4] > 2, np.inf, np.where(x[:, 4] < -1, -np.inf, x[:, 4]))
    sizes = rows.copy()
    sizes[:, 1] *= 1e-34
    sizes[:5, 4] = [np.inf, -np.inf, 3e38, -3e38, 4]
    share = y + rng.random(len(y))
    save("huge", train(4, dataset(huge, share), objective="quantile", alpha=0.7), sizes.astype(np.float32))

    # Not trained at all.
    save("empty", lightgbm.Booster(common, dataset()), rows[:2])

    for name, params in [
        ("linear", dict(linear_tree=True)),
        ("multiclass", dict(objective="multiclass", num_class=3)),
        ("multiclassova", dict(objective="multiclassova", num_class=3)),
    ]:
        label = x[:, 2].astype(int) % 3 if "num_class" in params else y
        train(1, dataset(label=label), num_leaves=3, **params).save_model(name + ".txt")


if __name__ == "__main__":
    main()
