"""Writes calibration.json, what scikit-learn makes of a few sets of margins.

    pip install scikit-learn==VERSION   (the version is in the file)
    python calibration.py > calibration.json
"""

import json

import numpy as np
import sklearn
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression


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
    lines = ",\n".join(json.dumps(c) for c in cases)
    print('{"scikit-learn": "%s", "cases": [\n%s\n]}' % (sklearn.__version__, lines))


main()
