"""Makes the golden files in this directory: models as a Python team has them,
trained on ../telco/wa_churn.csv, and their scores of some of its rows.

    python3 -m venv venv
    venv/bin/pip install lightgbm==4.7.0 xgboost==3.2.0 numpy==2.4.6 pandas==3.1.1
    venv/bin/python make.py

Writes for each model NAME its file and NAME.csv: the number of the row, from
1, and what Python says of it.
"""

import lightgbm
import numpy as np
import pandas as pd
import xgboost

table = pd.read_csv("../telco/wa_churn.csv")  # the text NA is missing
table.index += 1
churn = (table.pop("churn") == "Yes").astype(int)
train = table.index <= 5000
# Every fifth of the later rows, and every row in which a number is missing.
check = (table.index > 5000) & (table.index % 5 == 0) | table["total_charges"].isna()

words = table.select_dtypes(exclude="number").columns
common = dict(verbose=-1, num_threads=1, seed=1, deterministic=True, min_data_in_leaf=20)


def write(name, column, scores):
    pd.DataFrame({column: scores}, index=table.index[check]).to_csv(name + ".csv", index_label="id")


def frame():
    """A data frame with categories, numbers of 32 bits, and missing values."""
    x = table.copy()
    x.loc[x["multiple_lines"] == "No phone service", "multiple_lines"] = None
    for c in x:
        x[c] = x[c].astype("category" if c in words else "float32")
    return x


def coded():
    """Columns without names: codes of one's own, an ordinal code, one-hot
    columns, and -999 for missing numbers."""
    return np.column_stack([
        table["tenure"],
        table["total_charges"].fillna(-999),
        table["contract"].map({"Month-to-month": 1, "One year": 12, "Two year": 24}),
        table["payment_method"].map({"Bank transfer (automatic)": 40, "Credit card (automatic)": 7,
                                     "Electronic check": 100, "Mailed check": 3}),
        table["internet_service"] == "Fiber optic",
        table["internet_service"] == "DSL",
        table["monthly_charges"],
        table["multiple_lines"].map({"No": 0, "Yes": 1}).fillna(-1),
    ]).astype(np.float32)


def boosted(name, x, trees, params, **more):
    data = lightgbm.Dataset(x[train], churn[train], **more)
    model = lightgbm.train(common | params, data, trees)
    model.save_model(name + ".txt")
    return model


x = frame()
m = boosted("lightgbm", x, 20, dict(objective="binary", num_leaves=10, max_cat_to_onehot=2))
write("lightgbm", "raw_score", m.predict(x[check], raw_score=True))

c = coded()
m = boosted("coded", c, 15, dict(objective="binary", sigmoid=0.5, num_leaves=10, max_cat_to_onehot=2),
            categorical_feature=[3])
write("coded", "probability", m.predict(c[check]))

m = boosted("votes", x, 5, dict(objective="binary", boosting="rf", sigmoid=2, num_leaves=10,
                                bagging_fraction=0.6, bagging_freq=1))
write("votes", "raw_score", m.predict(x[check], raw_score=True))

m = boosted("regression", x, 10, dict(objective="regression", num_leaves=6))
write("regression", "raw_score", m.predict(x[check], raw_score=True))

m = lightgbm.train(common | dict(objective="multiclass", num_class=3, num_leaves=3),
                   lightgbm.Dataset(x[train], churn[train] + (x["tenure"][train] > 50)), 1)
m.save_model("multiclass.txt")

common = dict(max_depth=4, nthread=1, seed=1, objective="binary:logistic")
m = xgboost.train(common | dict(max_cat_to_onehot=2), xgboost.DMatrix(x[train], churn[train], enable_categorical=True), 15)
m.save_model("xgboost.json")
m.save_model("xgboost.ubj")
write("xgboost", "raw_score", m.predict(xgboost.DMatrix(x[check], enable_categorical=True), output_margin=True))

m = xgboost.train(common | dict(base_score=0.3), xgboost.DMatrix(c[train], churn[train], missing=-999), 15)
m.save_model("positions.json")
write("positions", "probability", m.predict(xgboost.DMatrix(c[check], missing=-999)))
