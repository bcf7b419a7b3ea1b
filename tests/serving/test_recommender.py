"""One user from code."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqrec.errors import UserError
from seqrec.reranking.rules import Rules
from seqrec.serving.recommender import Recommender
from tests.scoring.toy import write_model

# the rows and counts of test_udf: a (1, 0), b (2, 0), c and d (0, 1), e (1, 1), and f, which was never seen in training
MATRIX = np.array([[0, 0], [9, 9], [1, 0], [2, 0], [0, 1], [0, 1], [1, 1], [8, 8]], np.float32)


@pytest.fixture
def recommender(tmp_path: Path) -> Recommender:
    write_model(tmp_path / "toy", MATRIX, ["a", "b", "c", "d", "e", "f"], [9, 2, 7, 7, 1, 0])
    return Recommender.load(str(tmp_path / "toy"))


def test_original_ids_in_and_out(recommender: Recommender) -> None:
    assert recommender.recommend(["a"], k=3) == [("b", 2.0), ("e", 1.0), ("c", 0.0)]
    assert recommender.recommend(["a"]) == [("b", 2.0), ("e", 1.0), ("c", 0.0), ("d", 0.0)]


def test_unknown_ids_are_ignored(recommender: Recommender) -> None:
    assert recommender.recommend(["z", "a", "?"], k=2) == [("b", 2.0), ("e", 1.0)]


def test_ids_of_the_wrong_type_are_an_error(recommender: Recommender, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"history: 318 is no item id of the model toy, whose item ids are of type string"):
        recommender.recommend(["a", 318])
    with pytest.raises(UserError, match=r"history='318' is one id: give a list"):
        recommender.recommend("318")
    with pytest.raises(UserError, match=r"user: '7' is no user id .* of type bigint"):
        recommender.recommend(["a"], user="7")
    write_model(tmp_path / "numbers", MATRIX, [1, 2, 3, 4, 5, 6], [9, 2, 7, 7, 1, 0])
    numbers = Recommender.load(str(tmp_path / "numbers"))
    plain = numbers.recommend([1, 3], allow=[2, 4], deny=[4], user=7)
    others: Any = {"history": np.array([1, 3]), "allow": np.array([2, 4], np.int32), "deny": {np.int64(4)}, "user": np.int64(7)}
    assert plain == numbers.recommend(**others)
    for wrong in ("318", 318.0, None, True, 2**70, np.float64(3)):
        for call in (
            lambda value: numbers.recommend([1, value]),
            lambda value: numbers.recommend([1], allow=[value]),
            lambda value: numbers.recommend([1], deny=[value]),
            lambda value: numbers.neighbours(value),
            lambda value: numbers.knows(value),
        ):
            with pytest.raises(UserError, match=r"is no item id of the model toy, whose item ids are of type bigint"):
                call(wrong)
    assert (numbers.knows(6), numbers.knows(7)) == (True, False)


def test_k_is_bounded(recommender: Recommender) -> None:
    assert len(recommender.recommend(["a"], k=10**9)) == 4
    assert recommender.recommend(["a"], k=10**9, allow=["f"]) == []
    with pytest.raises(UserError, match="k=0: ask for at least 1"):
        recommender.recommend(["a"], k=0)
    for k in (0, -3):
        with pytest.raises(UserError, match=f"k={k}: ask for at least 1"):
            Recommender.load(str(recommender.export.path), rerank=Rules(pool=50)).recommend(["a"], k=k)


@pytest.mark.parametrize("history", [[], ["z"]])
def test_without_known_items_the_popular_ones_come(recommender: Recommender, history: list[str]) -> None:
    assert recommender.recommend(history, k=3) == [("a", 9.0), ("c", 7.0), ("d", 7.0)]


def test_options(recommender: Recommender) -> None:
    assert recommender.recommend(["a"], k=2, filter_seen=False) == [("b", 2.0), ("a", 1.0)]
    assert recommender.recommend(["a"], k=2, allow=["d", "e", "f", "z"]) == [("e", 1.0), ("d", 0.0)]
    assert recommender.recommend(["a"], k=2, deny=["b", "z"]) == [("e", 1.0), ("c", 0.0)]
    assert recommender.recommend([], k=5, allow=["f"]) == []


def test_titles(tmp_path: Path) -> None:
    write_model(tmp_path / "toy", MATRIX, [1, 2, 3, 4, 5, 6], [1] * 6)
    (tmp_path / "movies.csv").write_text("movieId,title\n1,Heat\n2,Ran\n")
    for titles in (str(tmp_path / "movies.csv"), {1: "Heat", 2: "Ran"}):
        recommender = Recommender.load(str(tmp_path / "toy"), titles=titles)
        assert [recommender.title(item) for item, _ in recommender.recommend([5], k=6, filter_seen=False, allow=[2, 3])] == [
            "Ran",
            None,
        ]
    assert Recommender.load(str(tmp_path / "toy")).title(1) is None
    with pytest.raises(UserError, match=r"none of the items'.*titles=read_titles\(FILE, 'ID,TITLE'\) says"):
        Recommender.load(str(tmp_path / "toy"), titles={77: "Heat"})


def test_neighbours_by_cosine(recommender: Recommender) -> None:
    neighbours = recommender.neighbours("a", k=3)
    assert [item for item, _ in neighbours] == ["b", "e", "c"]
    assert [score for _, score in neighbours] == pytest.approx([1, 0.5**0.5, 0])
    with pytest.raises(UserError, match="'z' is not among the 6 items"):
        recommender.neighbours("z")


def test_neither_torch_nor_spark_is_loaded(tmp_path: Path) -> None:
    write_model(tmp_path / "toy", MATRIX, [1, 2, 3, 4, 5, 6], [1] * 6)
    code = (
        "import sys; from seqrec.serving.recommender import Recommender; "
        f"print(Recommender.load({str(tmp_path / 'toy')!r}).recommend([1], k=1)); "
        "print({'torch', 'pyspark', 'onnx'} & set(sys.modules))"
    )
    message = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert message.splitlines() == ["[(6, 8.0)]", "set()"]
