from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from schemas.package import Feature, FeatureType, Package, Target, TargetType
from scorers.formats import FormatError
from scorers.formats.onnx import load
from scorers.onnx_graph import GraphError, check_graph
from scorers.package import LoadedPackage
from scorers.scoring import score
from tests.unit.scorers.formats.convert import onnx_of

RNG = np.random.default_rng(11)
X = RNG.normal(size=(400, 3)).astype(np.float32)
NAMES = ["a", "b", "c"]
ROWS = pl.DataFrame(X, schema=NAMES).cast(pl.Float64)
BINARY = Target("y", TargetType.BINARY, classes=("0", "1"))
VALUE = Target("y", TargetType.REGRESSION)


def package(target: Target, *features: Feature) -> Package:
    return Package("p", "1", "", target, features or tuple(map(Feature, NAMES)), "onnx")


def pipeline() -> tuple[LogisticRegression, pl.DataFrame]:
    rows = ROWS.with_columns(
        carrier=pl.Series(RNG.choice(["AA", "DL", "WN"], 400)), a=pl.when(pl.col("a") > -1).then("a")
    ).select("a", "carrier")
    label = (rows["a"].fill_null(0) + (rows["carrier"] == "AA") > 0.3).cast(pl.Int64)
    columns = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), [0]),
            ("text", OneHotEncoder(handle_unknown="ignore"), [1]),
        ]
    )
    return make_pipeline(columns, LogisticRegression()).fit(objects(rows), label.to_numpy()), rows


def objects(rows: pl.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.object_]]:
    return np.array([rows["a"].to_numpy(), rows["carrier"].fill_null("").to_numpy()], dtype=object).T


def test_a_pipeline_with_categories_predicts_as_scikit_learn_does() -> None:
    model, rows = pipeline()
    features = (Feature("a", nullable=True), Feature("carrier", FeatureType.CATEGORICAL, nullable=True))
    loaded = load(onnx_of(model, {"a": "number", "carrier": "string"}), package(BINARY, *features))
    asked = rows.vstack(pl.DataFrame({"a": [1.0, None], "carrier": [None, "never seen"]}))
    np.testing.assert_allclose(loaded.predict(asked), model.predict_proba(objects(asked)), atol=1e-6)


def test_a_forest_of_three_classes_predicts_as_scikit_learn_does() -> None:
    label = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
    model = RandomForestClassifier(20, max_depth=5, random_state=1).fit(X, label)
    target = Target("y", TargetType.MULTICLASS, classes=("0", "1", "2"))
    given = package(target)
    loaded = load(onnx_of(model, 3), given)
    np.testing.assert_allclose(loaded.predict(ROWS), model.predict_proba(X), atol=1e-5)
    assert score(LoadedPackage(given, loaded), ROWS).labels == [str(one) for one in model.predict(X)]


@pytest.mark.parametrize(
    ("kind", "target"),
    [(GradientBoostingClassifier, BINARY), (GradientBoostingRegressor, VALUE)],
    ids=["class", "value"],
)
def test_boosted_trees_predict_as_scikit_learn_does(kind: Callable[..., object], target: Target) -> None:
    y = X[:, 0] * X[:, 1] + X[:, 2]
    model = kind(n_estimators=30, random_state=1).fit(X, y > 0 if target is BINARY else y)  # type: ignore[attr-defined]  # scikit-learn has no types
    expected = model.predict_proba(X) if target is BINARY else model.predict(X)
    predicted = load(onnx_of(model, 3), package(target)).predict(ROWS)
    assert predicted.shape == expected.shape
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)


def graph(
    inputs: dict[str, int], outputs: list[str], *nodes: onnx.NodeProto, shape: tuple[int | None, ...] = (None, 1)
) -> bytes:
    made = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    serialized: bytes = model.SerializeToString()
    return serialized


CAST = helper.make_node("Cast", ["flag"], ["out"], to=TensorProto.FLOAT)


@pytest.mark.parametrize("kind", [TensorProto.BOOL, TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE])
def test_a_boolean_goes_in_as_the_input_asks(kind: int) -> None:
    loaded = load(graph({"flag": kind}, ["out"], CAST), package(VALUE, Feature("flag", FeatureType.BOOLEAN)))
    np.testing.assert_array_equal(loaded.predict(pl.DataFrame({"flag": [True, False]})), [1.0, 0.0])


def test_an_input_may_be_a_vector() -> None:
    loaded = load(graph({"flag": TensorProto.FLOAT}, ["out"], CAST, shape=(None,)), package(VALUE, Feature("flag")))
    np.testing.assert_array_equal(loaded.predict(pl.DataFrame({"flag": [0.5, 2.0]})), [0.5, 2.0])


def test_one_column_of_a_binary_model_is_the_positive_class() -> None:
    sigmoid = helper.make_node("Sigmoid", ["a"], ["probability"])
    loaded = load(graph({"a": TensorProto.FLOAT}, ["probability"], sigmoid), package(BINARY, Feature("a")))
    np.testing.assert_allclose(loaded.predict(pl.DataFrame({"a": [0.0, -50.0]})), [[0.5, 0.5], [1.0, 0.0]], atol=1e-9)


@pytest.mark.parametrize("bad", [0.5, None, float("nan"), 1e300])
def test_an_integer_input_fails_only_the_rows_that_it_cannot_hold(bad: float | None) -> None:
    given = package(VALUE, Feature("flag"))
    model = load(graph({"flag": TensorProto.INT64}, ["out"], CAST), given)
    scores = score(LoadedPackage(given, model), pl.DataFrame({"flag": [3.0, bad, 5.0]}))
    assert list(scores.failed) == [1]
    np.testing.assert_array_equal(scores.values[[0, 2]], [3.0, 5.0])


def test_a_number_beyond_single_precision_fails_its_row_only() -> None:
    given = package(VALUE, Feature("flag"))
    model = load(graph({"flag": TensorProto.FLOAT}, ["out"], CAST), given)
    assert list(score(LoadedPackage(given, model), pl.DataFrame({"flag": [3.0, 1e300]})).failed) == [1]


@pytest.mark.parametrize(
    ("artifact", "given", "words"),
    [
        (graph({"flag": TensorProto.INT64}, ["out"], CAST), package(VALUE, Feature("flag", nullable=True)), "nullable"),
        (graph({"flag": TensorProto.STRING}, ["out"], CAST), package(VALUE, Feature("flag")), "cannot hold"),
        (
            graph({"flag": TensorProto.FLOAT}, ["out"], CAST),
            package(VALUE, Feature("flag", FeatureType.TEXT)),
            "cannot hold",
        ),
        (graph({"flag": TensorProto.FLOAT}, ["out"], CAST), package(VALUE), "takes 1 features"),
        (
            graph({"flag": TensorProto.FLOAT, "x": TensorProto.FLOAT}, ["out"], CAST),
            package(VALUE, Feature("flag")),
            "no features of the package: x",
        ),
        (
            graph({"flag": TensorProto.FLOAT}, ["out", "flag"], CAST),
            package(VALUE, Feature("flag")),
            "one float output",
        ),
        (
            graph({"flag": TensorProto.FLOAT}, ["out"], CAST, shape=(None, 1, 1)),
            package(VALUE, Feature("flag")),
            "shape",
        ),
    ],
)
def test_a_model_that_does_not_fit_its_package_says_why(artifact: bytes, given: Package, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        load(artifact, given)


def test_probabilities_as_maps_are_refused_with_the_way_out() -> None:
    artifact = onnx_of(LogisticRegression().fit(X, X[:, 0] > 0), 3, zipmap=True)
    with pytest.raises(FormatError, match="zipmap"):
        load(artifact, package(BINARY))


def test_tensors_in_another_file_are_refused_wherever_they_are() -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    add = helper.make_node("Add", ["flag", "w"], ["out"])
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    model = onnx.load_from_string(graph({"flag": TensorProto.FLOAT}, ["out"], add))
    model.graph.initializer.append(tensor)
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])])
    choice = helper.make_node("If", ["c"], ["out"], then_branch=branch, else_branch=branch)
    for artifact in (
        model.SerializeToString(),
        graph({"flag": TensorProto.FLOAT}, ["out"], constant, add),
        graph({"flag": TensorProto.FLOAT}, ["out"], choice),
    ):
        with pytest.raises(FormatError, match="another file"):
            load(artifact, package(VALUE, Feature("flag")))


def test_operators_of_other_domains_are_refused() -> None:
    node = helper.make_node("EPContext", ["flag"], ["out"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    with pytest.raises(FormatError, match=r"'com\.microsoft'"):
        load(graph({"flag": TensorProto.FLOAT}, ["out"], node), package(VALUE, Feature("flag")))


def test_the_runtimes_own_file_format_is_refused() -> None:
    with pytest.raises(FormatError):
        load(b"\x18\x00\x00\x00ORTM" + bytes(64), package(VALUE))


def test_graphs_nested_without_end_are_refused() -> None:
    body = b""
    for _ in range(200):  # graph in attribute in node in graph
        for tag in (0x32, 0x2A, 0x0A):
            body = bytes([tag]) + varint(len(body)) + body
    with pytest.raises(GraphError, match="nested"):
        check_graph(b"\x3a" + varint(len(body)) + body)


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)
