"""The data sets, and how each is divided into rows to train on and rows to test on.

A wide table is divided 80/20 by seed, with equal shares of churners. Histories
become rows by churn features build; churn divides them by time and customer, the
seed says which customers are held out, and the others get the rows that churn
says it used: all that is not the test, to train on.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
THREADS = 2
MISSING = ["", "NA", "NaN", "null"]
NO_FEATURES = ["customer_id", "as_of", "held_out", "churned", "churn_reason", "churn_kind", "left_at"]  # of a matrix


class Absent(Exception):
    """The data set is not on this machine."""


def run(*command, cwd=None) -> dict:
    """Runs a program to its end: standard output, wall and CPU seconds, peak MiB."""
    environment = os.environ | {"GOMAXPROCS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=said, cwd=cwd, env=environment)
        peak, ended = 0, 0
        while not ended:
            # What wait4 says of the peak begins with the size of this program.
            with suppress(OSError, StopIteration, IndexError), open(f"/proc/{process.pid}/status") as lines:
                peak = max(peak, int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)
            time.sleep(0.01)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said.seek(0)
        if process.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{said.read().decode()[-3000:]}")
        return {"out": out.read().decode(), "wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": peak}


def numbers(texts: pd.DataFrame) -> pd.DataFrame:
    """Columns as numbers where every text that is not missing is one, else as they are."""
    columns = {}
    for name in texts:
        column = texts[name].where(~texts[name].isin(MISSING))
        with suppress(ValueError):
            column = pd.to_numeric(column)
        columns[name] = column
    return pd.DataFrame(columns)


class Wide:
    """A table with one row a customer."""

    def __init__(self, churn, path, label, id=None, drop=()):
        if not path.exists():
            raise Absent(path.name)
        self.churn = churn
        table = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=list(drop))
        column, value = label.split("=")
        self.y = (table.pop(column) == value).astype(int)
        self.ids = table.pop(id) if id else pd.Series(np.arange(len(table)) + 1).astype(str)
        self.texts, self.values = table, numbers(table)

    def prepare(self, seed: int, work: Path) -> str:
        """Writes the two parts for churn; returns what tells them from others."""
        self.rows = train_test_split(np.arange(len(self.y)), test_size=0.2, random_state=seed, stratify=self.y)
        told = hashlib.sha256()
        for name, rows in zip(("train", "test"), self.rows):
            part = pd.concat([self.ids.rename("customer_id"), self.y.rename("churned"), self.texts], axis=1).iloc[rows]
            part.to_csv(work / f"{name}.csv", index=False)
            told.update((work / f"{name}.csv").read_bytes())
        return told.hexdigest()[:16]

    def ours(self, seed: int, work: Path) -> tuple[dict, np.ndarray, np.ndarray]:
        """What churn train says and costs, its probabilities for the test, and who left."""
        (work / "churn.yaml").write_text(f"training: {{seed: {seed}}}\n")
        table = ["--id", "customer_id", "--label", "churned=1"]
        done = run(self.churn, "train", "--table", "train.csv", "--test", "test.csv", *table, "--json", "--quiet", cwd=work)
        said = summary(done)
        run(self.churn, "score", "--table", "test.csv", *table, "--model-version", said["version"], "--reasons", 0, "--out", "scores.parquet", "--quiet", cwd=work)
        scores = pd.read_parquet(work / "scores.parquet")
        if list(scores.customer_id) != list(self.ids.iloc[self.rows[1]]):
            sys.exit("churn score: the rows are not those of the test")
        return said, scores.churn_probability.to_numpy(), self.y.iloc[self.rows[1]].to_numpy()

    def frames(self, work: Path, said: dict) -> list[pd.DataFrame]:
        """The two parts for the others."""
        whole = pd.concat([self.ids.rename("customer_id"), self.y.rename("churned"), self.values], axis=1)
        return [whole.iloc[rows].reset_index(drop=True) for rows in self.rows]


class Texts(yaml.SafeLoader):
    """YAML whose times stay as they are written."""

    yaml_implicit_resolvers = {
        c: [r for r in of if r[0] != "tag:yaml.org,2002:timestamp"] for c, of in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class Histories:
    """Events, of which churn makes rows: a project file, and the directory of the tables it names."""

    def __init__(self, churn, project: Path, tables: Path):
        if not tables.is_dir():
            raise Absent(tables.name)
        self.churn, self.project, self.tables = churn, project, tables
        self.through = None  # end of the data, instead of the project file's

    def prepare(self, seed: int, work: Path) -> str:
        settings = yaml.load(self.project.read_text(), Texts)
        for source in (s for of in settings["sources"].values() for s in of):
            source["path"] = str(self.tables / source["path"])
        settings["training"]["seed"] = seed
        if self.through:
            settings["training"]["through"] = self.through
        (work / "churn.yaml").write_text(yaml.safe_dump(settings))
        done = subprocess.run([self.churn, "features", "build", "--from-sources", "--labels", "--out", "matrix.parquet", "--quiet"],
                              cwd=work, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"churn features build failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stderr.splitlines()[-1])["checksum"] + f"-{seed}"

    def ours(self, seed: int, work: Path) -> tuple[dict, np.ndarray, np.ndarray]:
        said = summary(run(self.churn, "train", "--matrix", "matrix.parquet", "--json", "--quiet", cwd=work))
        run(self.churn, "score", "--table", "matrix.parquet", "--model-version", said["version"], "--reasons", 0, "--out", "scores.parquet", "--quiet", cwd=work)
        rows = pd.read_parquet(work / "matrix.parquet", columns=NO_FEATURES)
        test = self.parts(rows, said)[1]
        scores = pd.read_parquet(work / "scores.parquet")
        if not (scores.customer_id.equals(rows.customer_id) and scores.as_of.equals(rows.as_of)):
            sys.exit("churn score: the rows are not those of the matrix")
        return said, scores.churn_probability[test].to_numpy(), rows.churned[test].astype(int).to_numpy()

    def parts(self, rows: pd.DataFrame, said: dict) -> tuple[pd.Series, pd.Series]:
        """Which rows train, and which test."""
        times = {name: pd.to_datetime(of or [], utc=True) for name, of in said["split"].items()}
        train = ~rows.held_out & (rows.as_of <= times["calibration"].max())
        test = rows.held_out & rows.as_of.isin(times["test"])
        for name, part in (("train", train), ("test", test)):
            if part.sum() != said["parts"][name]:
                sys.exit(f"churn has other rows in the parts than were found: {said['parts']}, {part.sum()}")
        return train, test

    def frames(self, work: Path, said: dict) -> list[pd.DataFrame]:
        rows = pd.read_parquet(work / "matrix.parquet")
        parts = self.parts(rows, said)
        rows["churned"] = rows.churned.astype(int)
        rows = rows.drop(columns=[c for c in NO_FEATURES if c not in ("customer_id", "churned")])
        return [rows[part].reset_index(drop=True) for part in parts]


def summary(done: dict) -> dict:
    """What is kept of what churn train prints."""
    r = json.loads(done["out"])
    report = r["report"]
    parts = {part["name"]: part for part in report["parts"]}
    parts = {"train": parts.get("before the test", parts["training"]), "test": parts["test"]}
    return {"version": Path(r["path"]).stem, "model": report["model"]["name"], "split": report.get("split"),
            "parts": {name: part["rows"] for name, part in parts.items()},
            "churners": {name: part["churners"] for name, part in parts.items()},
            "wall": done["wall"], "cpu": done["cpu"], "peak": done["peak"]}


def world(churn, name: str, customers: int) -> Path:
    """A simulated world, made once."""
    directory = Path(tempfile.gettempdir()) / "churn-bench-accuracy" / f"{name}-{customers}"
    if not (directory / "done").exists():
        shutil.rmtree(directory, ignore_errors=True)
        run(churn, "simulate", "--world", name, "--customers", customers, "--out", directory, "--gzip", "--quiet")
        (directory / "done").touch()
    return directory


def worlds(churn) -> list[str]:
    """The worlds that simulate names in its help."""
    said = run(churn, "simulate", "--help")["out"].replace("\n", " ")
    return re.search(r"Worlds: ([^.]*)\.", said)[1].split(", ")


WORLDS = ["plain", "renewal", "drift"]
ALL = ["wa_churn", "mlc_churn", "BankChurners", "online_retail", "streaming_sub", *WORLDS]


def load(name: str, churn: Path, data: Path | None, customers: int):
    """A set by its name. data has the directories of those that are not in the repository."""
    if name in ("wa_churn", "mlc_churn"):
        return Wide(churn, ROOT / "testdata" / "telco" / f"{name}.csv", "churn=Yes" if name == "wa_churn" else "churn=yes")
    if name in ("BankChurners", "online_retail", "streaming_sub"):
        if data is None:
            raise Absent("no --data")
        if name == "BankChurners":
            path = data / "bank" / "BankChurners.csv.gz"
            if not path.exists():
                raise Absent(path.name)
            naive = [c for c in pd.read_csv(path, nrows=0) if c.startswith("Naive_Bayes")]  # made from the label
            return Wide(churn, path, "Attrition_Flag=Attrited Customer", id="CLIENTNUM", drop=naive)
        return Histories(churn, HERE / f"{name}.yaml", data / name)
    if name in worlds(churn):
        directory = world(churn, name, customers)
        return Histories(churn, directory / "churn.yaml", directory)
    raise SystemExit(f"no set {name}: there are {', '.join([*ALL, *worlds(churn)])}")
