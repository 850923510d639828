"""Tables with columns of several kinds, without downloads."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

# Maximum number of rows, so that a run takes minutes.
_MOST_ROWS = 4000


def load_tables() -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return the tables used to choose defaults, and those used to judge them."""
    chosen_by = {
        "census 3000": make_census(3000, seed=0),
        "latent 1500": make_latent(1500, n_latent=3, seed=1),
        "wine": _label(load_wine(as_frame=True).frame, "target"),
        "diabetes": _label(load_diabetes(as_frame=True, scaled=False).frame, "sex"),
        **_load_of_statsmodels("fair", "modechoice"),
    }
    judging = {
        "census 600": make_census(600, seed=10),
        "latent 4000": make_latent(4000, n_latent=5, seed=11),
        "tumours": _bin_means(load_breast_cancer(as_frame=True).frame),
        "iris": _label(load_iris(as_frame=True).frame, "target"),
        **_load_of_statsmodels("anes96", "randhie"),
    }
    return chosen_by, judging


def make_census(n_rows: int, *, seed: int) -> pd.DataFrame:
    """Return simulated census data, in which every column depends on those before it."""
    draw = np.random.default_rng(seed)
    age = draw.gamma(6, 7, n_rows).clip(17, 90).round()
    schooling = (draw.normal(11, 3, n_rows) + (age > 22) * draw.normal(1, 1, n_rows)).clip(1, 18)
    school = pd.cut(schooling, [0, 8, 11, 12, 14, 16, 19], labels=[*"abcdef"]).astype(str)
    is_married = draw.random(n_rows) < 0.75 / (1 + np.exp(-(age - 27) / 4))
    was_married = draw.random(n_rows) < (age / 150).clip(0, 0.6)
    status = np.where(is_married, "married", np.where(was_married, "divorced", "single"))
    is_woman = draw.random(n_rows) < 0.48
    home = np.where(is_married, np.where(is_woman, "wife", "husband"), "own household")
    home = np.where((status == "single") & (draw.random(n_rows) < 0.6), "own child", home)
    trades = np.array(["farm", "craft", "service", "office", "sales", "technical", "manager"])
    pull = np.linspace(-1.5, 1.5, len(trades)) * (schooling[:, None] - 11.5) * 0.4
    pull += is_woman[:, None] * np.array([-1.0, -1.5, 0.8, 1.0, 0.3, 0.0, -0.4])
    trade = trades[(pull + draw.gumbel(size=pull.shape)).argmax(1)]
    is_state = draw.random(n_rows) < np.isin(trade, ["office", "technical"]) * 0.3 + 0.05
    employer = np.where(is_state, "state", np.where(trade == "farm", "self", "private"))
    hours = (40 + 6 * (trade == "manager") - 9 * (age < 22) + draw.normal(0, 7, n_rows)).clip(4, 90)
    wage = 0.13 * schooling + 0.4 * is_married - 0.0012 * (age - 48) ** 2 + 0.02 * hours
    income = np.exp(wage + 0.3 * (trade == "manager") + draw.normal(0, 0.3, n_rows)) * 4000
    return pd.DataFrame(
        {
            "age": age.astype(int),
            "employer": employer,
            "school": school,
            "years of school": schooling.round(1),
            "status": pd.Categorical(status),
            "trade": trade,
            "home": home,
            "woman": is_woman,
            "hours": hours.round().astype(int),
            "income": income.round(),
            "rich": np.where(income > np.quantile(income, 0.75), "yes", "no"),
        }
    )


def make_latent(n_rows: int, *, n_latent: int, seed: int) -> pd.DataFrame:
    """Return numbers and categories that a random network computes from a few latent variables."""
    draw = np.random.default_rng(seed)
    hidden = np.tanh(draw.normal(size=(n_rows, n_latent)) @ draw.normal(size=(n_latent, 12)) * 1.5)
    columns: dict[str, object] = {}
    for index in range(6):
        signal = hidden @ draw.normal(size=12)
        columns[f"number {index}"] = signal + 0.2 * signal.std() * draw.normal(size=n_rows)
    for index, n_levels in enumerate((2, 2, 3, 4, 6, 10)):
        logits = hidden @ draw.normal(size=(12, n_levels)) * 1.5
        levels = (logits + draw.gumbel(size=logits.shape)).argmax(1)
        columns[f"category {index}"] = np.char.add("level ", levels.astype(str))
    return pd.DataFrame(columns)


def _label(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Return a frame with the given columns of numbers as categories."""
    return frame.assign(**{name: "is " + frame[name].astype(str) for name in names})


def _bin_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame in which ten columns are terciles, and the diagnosis a category."""
    means = [name for name in frame if name.startswith("mean")]
    thirds = {name: pd.qcut(frame[name], 3, labels=["low", "mid", "high"]) for name in means}
    return _label(frame.assign(**thirds), "target")


def _load_of_statsmodels(*names: str) -> dict[str, pd.DataFrame]:
    """Return data sets of statsmodels, none if it is not installed."""
    try:
        from statsmodels import datasets
    except ImportError:
        return {}
    folder = Path(datasets.__file__).parent
    frames = {name: _READERS[name](folder / name / f"{name}.csv") for name in names}
    return {
        name: frame.sample(min(len(frame), _MOST_ROWS), random_state=0)
        for name, frame in frames.items()
    }


def _read_fair(path) -> pd.DataFrame:
    names = ["rate_marriage", "religious", "occupation", "occupation_husb"]
    return _label(pd.read_csv(path), *names)


def _read_modechoice(path) -> pd.DataFrame:
    frame = pd.read_csv(path, sep=";").drop(columns="individual")
    return _label(frame, "mode", "choice", "psize")


def _read_anes96(path) -> pd.DataFrame:
    frame = pd.read_csv(path, sep="\t", quotechar="'")
    return _label(frame, "PID", "selfLR", "vote", "educ")


def _read_randhie(path) -> pd.DataFrame:
    return _label(pd.read_csv(path), "idp", "hlthg", "hlthf", "hlthp")


_READERS = {
    "fair": _read_fair,
    "modechoice": _read_modechoice,
    "anes96": _read_anes96,
    "randhie": _read_randhie,
}
