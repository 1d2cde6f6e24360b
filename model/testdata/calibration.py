"""Writes calibration.json, what scikit-learn and betacal make of a few sets of
margins.

    pip install scikit-learn==VERSION betacal==VERSION   (the versions are in the file)
    python calibration.py > calibration.json
"""

import importlib.metadata
import json

import numpy as np
import sklearn
from betacal import BetaCalibration
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression


def smoothed_beta(m, y):
    """a, b, c of beta calibration with Platt's targets: each row counts as a
    churner with the weight of its target and as another with the rest."""
    pos, neg = y.sum(), len(y) - y.sum()
    target = np.where(y == 1, (pos + 1) / (pos + 2), 1 / (neg + 2))
    columns = np.column_stack([-np.logaddexp(0, -m), np.logaddexp(0, m)])  # ln s, -ln(1-s)

    def fit(use):
        x = np.vstack([columns[:, use]] * 2)
        labels = np.repeat([1, 0], len(m))
        weights = np.concatenate([target, 1 - target])
        lr = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        lr.fit(x, labels, sample_weight=weights)
        w = np.zeros(2)
        w[use] = lr.coef_[0]
        return [*w, lr.intercept_[0]]

    a, b, c = fit([0, 1])
    if a < 0 or b < 0:
        a, b, c = fit([1] if a < 0 else [0])
    return [a, b, c]


def betacal(m, y):
    """a, b, c as betacal has them: its labels are not smoothed."""
    cal = BetaCalibration("abm").fit(1 / (1 + np.exp(-m)), y).calibrator_
    return [float(cal.map_[0]), float(cal.map_[1]), float(cal.lr_.intercept_[0])]


def case(name, margins, churned):
    m, y = np.asarray(margins, float), np.asarray(churned, int)
    # p = 1/(1+exp(a*m+b)): the signs are the other way round than ours.
    a, b = _sigmoid_calibration(m, y)
    iso = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(m, y)
    at = np.unique(m)
    return {
        "name": name,
        "margins": m.tolist(),
        "churned": y.astype(bool).tolist(),
        "slope": -a,
        "offset": -b,
        # The fitted rate at each distinct margin, ascending.
        "at": at.tolist(),
        "isotonic": iso.predict(at).tolist(),
        "beta": smoothed_beta(m, y),
        "betacal": betacal(m, y),
    }


def main():
    rng = np.random.default_rng(20261122)
    cases = []
    m = np.round(rng.normal(-1, 1.5, 200), 3)
    cases.append(case("well behaved", m, rng.random(200) < 1 / (1 + np.exp(-m))))
    m = np.round(rng.normal(0, 2, 150), 3)
    cases.append(case("overconfident", m, rng.random(150) < 1 / (1 + np.exp(-0.3 * m + 1.5))))
    m = np.round(rng.normal(0, 1, 120), 1)
    cases.append(case("ties", m, rng.random(120) < 1 / (1 + np.exp(-2 * m))))
    m = np.round(rng.random(100), 3)
    cases.append(case("votes", m, rng.random(100) < m**2))
    cases.append(case("separable", np.arange(-5, 5), np.arange(-5, 5) > 0))
    # Sure of those who stay, unsure of those who leave, and the other way round.
    for name, a, b in [("steep below", 1.2, 0.2), ("steep above", 0.2, 1.2), ("turns below", -0.6, 1.5), ("turns above", 1.5, -0.6)]:
        m = np.round(rng.normal(0, 2, 800), 1)
        z = -a * np.logaddexp(0, -m) + b * np.logaddexp(0, m) - 0.3
        cases.append(case(name, m, rng.random(800) < 1 / (1 + np.exp(-z))))
    lines = ",\n".join(json.dumps(c) for c in cases)
    versions = (sklearn.__version__, importlib.metadata.version("betacal"))
    print('{"scikit-learn": "%s", "betacal": "%s", "cases": [\n%s\n]}' % (*versions, lines))


main()
