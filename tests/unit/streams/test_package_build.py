"""`watchkeeper package build`: the time column, and what is learned of the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from monitors.fair_holdout import holdout_tallies
from schemas.fairness import Fairness
from schemas.package import CategoricalBins
from scorers.formats.linear import CategoricalTerm, LinearModel, Link, NumericTerm
from scorers.package import read_package
from streams.cli.package import package

ROWS = 3_600


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    wild = np.repeat(rng.normal(0, 1, 36), 100) + rng.normal(size=ROWS)
    minutes = pl.datetime_range(pl.datetime(2026, 1, 1), interval="1m", end=pl.datetime(2026, 1, 3, 11, 59), eager=True)
    frame = pl.DataFrame({"when": minutes.cast(pl.String), "wild": wild, "steady": rng.normal(size=ROWS)})
    frame = frame.with_columns(price=pl.col("steady") * 2 + 1).sample(fraction=1.0, shuffle=True, seed=1)
    frame.write_csv(tmp_path / "rows.csv")
    terms = {"wild": NumericTerm(0.0), "steady": NumericTerm(2.0)}
    (tmp_path / "model.json").write_bytes(LinearModel(Link.IDENTITY, 1.0, terms).artifact())
    return tmp_path


def run(data: Path, *more: str) -> tuple[int, str]:
    given = ["--name", "prices", "--version", "1", "--target", "price", "--type", "regression", "--actual", "price"]
    files = ["--model", "model.json", "--training", "rows.csv", "--holdout", "rows.csv", "-o", "prices.wk"]
    placed = [str(data / word) if "." in word else word for word in files]
    result = CliRunner().invoke(package, ["build", *given, *placed, *more])
    return result.exit_code, result.output + str(result.exception or "")


def test_with_a_time_column_what_wanders_in_time_is_known(data: Path) -> None:
    code, said = run(data, "--time-column", "when")
    assert code == 0, said
    built = read_package((data / "prices.wk").read_bytes())
    assert [feature.name for feature in built.features] == ["wild", "steady"]
    assert set(built.baseline.tolerance) == {"steady"}
    assert {feature.name: feature.importance for feature in built.features} == {"wild": 0.0, "steady": 1.0}
    assert "too much to tell a change" in said
    assert "little" in said
    assert built.baseline.noise["wild"].rows[-1] == 1_000


def test_without_one_nothing_is_known_to_wander(data: Path) -> None:
    code, said = run(data, "--feature", "wild:numeric", "--feature", "steady:numeric")
    assert code == 0, said
    built = read_package((data / "prices.wk").read_bytes())
    assert built.baseline.tolerance == {"wild": 2_000.0, "steady": 2_000.0}
    assert said.count("not known (no --time-column)") == 2
    assert "little" not in said
    assert built.baseline.noise["wild"].rows[-1] == 100_000


def test_a_package_that_may_be_without_a_time_column_is_not_shown_as_measured(data: Path) -> None:
    def shown() -> str:
        return CliRunner().invoke(package, ["show", str(data / "prices.wk")]).output

    assert run(data, "--time-column", "when")[0] == 0
    assert "not known" not in shown()
    assert run(data, "--feature", "wild:numeric", "--feature", "steady:numeric")[0] == 0
    assert shown().count("little, or not known") == 2


def test_a_time_column_that_is_none_is_refused_with_a_sentence(data: Path) -> None:
    assert "has no column 'time'" in run(data, "--time-column", "time")[1]
    pl.read_csv(data / "rows.csv").with_columns(when=pl.lit("soon")).write_csv(data / "rows.csv")
    assert "no times as ISO 8601 writes them" in run(data, "--time-column", "when")[1]


def protected(tmp_path: Path, name: str) -> tuple[int, str]:
    rng = np.random.default_rng(0)
    sex, age = rng.choice(["f", "m"], ROWS), rng.normal(size=ROWS)
    truth = np.where(rng.random(ROWS) < 1 / (1 + np.exp(-age)), "yes", "no")
    pl.DataFrame({"sex": sex, "age": age + (sex == "m"), "hired": truth}).write_csv(tmp_path / "rows.csv")
    (tmp_path / "model.json").write_bytes(LinearModel(Link.LOGIT, -0.5, {"age": NumericTerm(2.0)}).artifact())
    given = ["--name", "hire", "--version", "1", "--target", "hired", "--type", "binary", "--actual", "hired"]
    classes = ["--class", "no", "--class", "yes", "--protected", name]
    files = ["--model", "model.json", "--training", "rows.csv", "--holdout", "rows.csv", "-o", "hire.wk"]
    placed = [str(tmp_path / word) if "." in word else word for word in files]
    result = CliRunner().invoke(package, ["build", *given, *classes, *placed])
    return result.exit_code, result.output + str(result.exception or "")


def test_what_protected_groups_got_on_holdout_is_kept(tmp_path: Path) -> None:
    code, said = protected(tmp_path, "sex")
    assert code == 0, said
    built = read_package((tmp_path / "hire.wk").read_bytes())
    rows = pl.read_csv(tmp_path / "rows.csv")
    found = holdout_tallies(built, "sex", Fairness(("sex",)))
    assert found is not None
    for one in ("f", "m"):
        group = rows.filter(sex=one)
        assert found[f"sex={one}"].predicted == group.height
        assert found[f"sex={one}"].favoured == group.filter(pl.col("age") * 2 >= 0.5).height
        assert found[f"sex={one}"].hits == group.filter(pl.col("age") * 2 >= 0.5, hired="yes").height


def test_a_number_cannot_be_protected(tmp_path: Path) -> None:
    code, said = protected(tmp_path, "age")
    assert code == 1
    assert "age cannot be protected: it is not a categorical, boolean or text feature" in said


def test_categories_that_have_a_bin_of_their_own_are_as_many_as_asked_for(tmp_path: Path) -> None:
    names = [f"c{place % 60:02}" for place in range(600)]
    frame = pl.DataFrame({"town": names, "age": np.arange(600.0), "price": np.arange(600.0) * 2})
    frame.write_csv(tmp_path / "rows.csv")
    model = LinearModel(Link.IDENTITY, 0.0, {"town": CategoricalTerm({"c00": 0.0}), "age": NumericTerm(2.0)})
    (tmp_path / "model.json").write_bytes(model.artifact())

    def categories(*more: str) -> tuple[int, tuple[int, ...]]:
        code, said = run(tmp_path, *more)
        assert code == 0, said
        bins = read_package((tmp_path / "prices.wk").read_bytes()).baseline.features["town"]
        assert isinstance(bins, CategoricalBins)
        return len(bins.categories), bins.counts[-3:]

    assert categories() == (50, (100, 0, 0))
    assert categories("--top-categories", "60") == (60, (0, 0, 0))
    assert categories("--top-categories", "2") == (2, (580, 0, 0))
    for refused in ("0", "1001"):
        assert run(tmp_path, "--top-categories", refused)[0] != 0


def test_predictions_and_actuals_have_noise_tables(data: Path) -> None:
    code, said = run(data, "--feature", "wild:numeric", "--feature", "steady:numeric")
    assert code == 0, said
    baseline = read_package((data / "prices.wk").read_bytes()).baseline
    assert baseline.prediction_noise is not None
    assert {"psi", "kolmogorov_smirnov"} <= set(baseline.prediction_noise.laws)
    assert baseline.target_noise is not None
    assert set(baseline.target_noise.laws) == {"psi"}


def test_what_errors_depend_on_beyond_the_prediction_is_learned_of_holdout_and_said(data: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pl.read_csv(data / "rows.csv")
    wide = np.where(frame["wild"].to_numpy() > 0, 3.0, 0.5)
    frame.with_columns(price=pl.col("price") + pl.Series(rng.normal(size=ROWS) * wide)).write_csv(data / "rows.csv")
    code, said = run(data)
    assert code == 0, said
    assert "errors depend on wild beyond the prediction" in said
    losses = read_package((data / "prices.wk").read_bytes()).baseline.losses
    assert losses is not None
    assert [tree.splits[0].feature for tree in losses.trees] == ["wild", "wild"]
