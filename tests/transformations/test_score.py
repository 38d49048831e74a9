"""Models over rows: a file of ONNX made here, and objects of scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError
from tests.transformations.stepping import over, refusal, step

HERE = __name__
MADE: list[str] = []
LINE = LinearRegression().fit([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 3.0, 4.0])  # 2a + 3b + 1


def opinion() -> Pipeline:
    """Made by a function, as a project would from its own training data."""
    MADE.append("opinion")
    texts = ["good nice", "nice work", "bad poor", "poor work"]
    return make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, ["glad", "glad", "sad", "sad"])


def save(file: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> None:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(file))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two models: sentiment of a text by its words, and a sum of two numbers."""
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    split = helper.make_node("StringSplit", ["text"], ["words", "count"], delimiter=" ")
    counted = helper.make_node(
        "TfIdfVectorizer", ["words"], ["counts"], mode="TF", min_gram_length=1, max_gram_length=1, max_skip_count=0,
        ngram_counts=[0], ngram_indexes=[0, 1], pool_strings=["good", "bad"],
    )  # fmt: skip
    judged = helper.make_node(
        "LinearClassifier", ["counts"], ["label", "scores"], domain="ai.onnx.ml", classlabels_strings=["sad", "glad"],
        coefficients=[-1.0, 1.0, 1.0, -1.0], intercepts=[0.0, 0.0], post_transform="SOFTMAX",
    )  # fmt: skip
    text = helper.make_tensor_value_info("text", TensorProto.STRING, [None])
    label = helper.make_tensor_value_info("label", TensorProto.STRING, [None])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])
    save(tmp_path / "sentiment.onnx", [split, counted, judged], [text], [label, scores])
    pair = helper.make_tensor_value_info("pair", TensorProto.FLOAT, [None, 2])
    total = helper.make_tensor_value_info("total", TensorProto.FLOAT, [None, 1])
    axes = helper.make_node("Constant", [], ["axes"], value_ints=[1])
    save(tmp_path / "sum.onnx", [axes, helper.make_node("ReduceSum", ["pair", "axes"], ["total"])], [pair], [total])
    return tmp_path


TEXTS = "SELECT * FROM (VALUES (1, 'good good'), (2, 'bad'), (3, NULL), (4, 'bad good good')) AS t(id, review)"


def test_sentiment_of_texts_by_a_file_of_onnx(folder: Path) -> None:
    scored = step("score", {
        "onnx": "sentiment.onnx", "inputs": {"text": ["review"]},
        "outputs": {"label": "varchar", "glad": {"type": "double", "output": "scores", "at": 1}},
    })  # fmt: skip
    names, rows = over(TEXTS, scored)
    assert names == ["id", "review", "label", "glad"]
    given = {row[0]: row[2:] for row in rows}
    # Scores are -(good - bad) and good - bad; of two the softmax is 1 / (1 + exp(-2 (good - bad))).
    assert given[1] == ("glad", pytest.approx(1 / (1 + np.exp(-4))))
    assert given[2] == ("sad", pytest.approx(1 / (1 + np.exp(2))))
    assert given[3] == (None, None)
    assert given[4] == ("glad", pytest.approx(1 / (1 + np.exp(-2))))


def test_many_rows_with_gaps_keep_their_values(folder: Path) -> None:
    scored = step("score", {"onnx": "sum.onnx", "inputs": {"pair": ["a", "b"]}, "outputs": {"total": "double"}})
    rows = "SELECT range AS a, CASE WHEN range % 3 = 0 THEN NULL ELSE 1::DECIMAL(4,1) END AS b FROM range(10000)"
    _, given = over(rows, scored)
    assert len(given) == 10000
    assert all(total == (None if a % 3 == 0 else a + 1) for a, _, total in given)


def test_an_object_of_scikit_learn_by_its_path() -> None:
    line = step("score", {"model": f"{HERE}:LINE", "inputs": ["a", "b"], "outputs": {"y": "double"}})
    _, rows = over("SELECT * FROM (VALUES (1, 2.5), (NULL, 1.0)) AS t(a, b)", line)
    assert sorted(rows, key=str)[0][2] == pytest.approx(10.5)  # 2 * 1 + 3 * 2.5 + 1
    assert sorted(rows, key=str)[1][2] is None


def test_a_model_is_made_once_for_each_load() -> None:
    MADE.clear()
    scored = step("score", {
        "model": f"{HERE}:opinion", "inputs": ["review"],
        "outputs": {"label": "varchar", "sad": {"type": "double", "output": "predict_proba", "at": 1}},
    })  # fmt: skip
    _, rows = over("SELECT range AS id, ['nice', 'poor'][1 + range % 2] AS review FROM range(5000)", scored)
    assert {row[1:3] for row in rows} == {("nice", "glad"), ("poor", "sad")}
    assert all((row[3] > 0.5) == (row[2] == "sad") for row in rows)
    assert MADE == ["opinion"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"onnx": "absent.onnx", "inputs": {"text": ["review"]}, "outputs": {"label": "varchar"}}, "score.model"),
        ({"onnx": "broken.onnx", "inputs": {"text": ["review"]}, "outputs": {"label": "varchar"}}, "score.model"),
        ({"onnx": "sentiment.onnx", "inputs": {"txt": ["review"]}, "outputs": {"label": "varchar"}}, "input.unknown"),
        ({"onnx": "sentiment.onnx", "inputs": {"text": ["review"]}, "outputs": {"lable": "varchar"}}, "output.unknown"),
        ({"onnx": "sentiment.onnx", "inputs": {"text": ["review"]}, "outputs": {"scores": "double"}}, "score.shape"),
        ({"onnx": "sentiment.onnx", "inputs": {"text": ["review"]}, "outputs": {"label": "double"}}, "function.type"),
        ({"onnx": "sum.onnx", "inputs": {"pair": ["id"]}, "outputs": {"total": "double"}}, "score.failed"),
        ({"model": f"{HERE}:LINE", "inputs": ["id"], "outputs": {"y": "double"}}, "score.failed"),
        (
            {"model": f"{HERE}:LINE", "inputs": ["id"], "outputs": {"y": {"type": "int", "output": "fit"}}},
            "output.unknown",
        ),
    ],
)
def test_what_does_not_fit_is_told(folder: Path, value: dict[str, Any], code: str) -> None:
    (folder / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(DataflowError) as raised:
        over(TEXTS, step("score", value))
    assert raised.value.code == code
    assert isinstance(raised.value, ConfigError) != isinstance(raised.value, DataError)
    assert "good" not in str(raised.value)  # no value of a row


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"inputs": ["a"]}, "score.model"),
        ({"onnx": "m.onnx", "inputs": ["a"]}, "score.inputs"),
        ({"model": f"{HERE}:LINE", "inputs": {"x": ["a"]}}, "score.inputs"),
        ({"model": f"{HERE}:LINE", "inputs": ["b"]}, "column.unknown"),
    ],
)
def test_a_mistake_is_found_before_a_row_is_read(value: dict[str, Any], code: str) -> None:
    assert refusal("score", {**value, "outputs": {"y": "double"}}, [Column("a", "DOUBLE")]).code == code
