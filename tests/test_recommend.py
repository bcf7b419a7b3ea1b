"""One user on the command line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from seqrec import recommend
from seqrec.serving.recommender import Recommender
from seqrec.user_hashes import hash_ids
from tests.scoring.toy import write_model
from tests.serving.test_recommender import MATRIX

COUNTS = [9, 2, 7, 7, 1, 0]
AWKWARD = ["a, b", "b", "c", "d", " e", 'f"']


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """A model of the items 1 to 6, as test_recommender has them, and titles of two of them."""
    write_model(tmp_path / "root" / "model", MATRIX, [1, 2, 3, 4, 5, 6], COUNTS)
    (tmp_path / "movies.csv").write_text('movieId,title\n1,"Heat, the film"\n2,Ran\n')
    return tmp_path


def story(err: str) -> list[str]:
    """The lines of stderr, without the times that they begin with, and without the mark of warnings."""
    return [line.partition(" ")[2].removeprefix("warning: ") for line in err.splitlines()]


def test_titles_beside_ids(numbers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    titles = ["--titles", str(numbers / "movies.csv")]
    recommend.main([str(numbers / "root" / "model"), "--history", "1,77", "-k", "2", "--user", "7", *titles])
    out, err = capsys.readouterr()
    assert out == " 1  2  2.0000  Ran\n 2  5  1.0000\n"
    assert story(err) == [
        f"2 titles in {numbers}/movies.csv: column title, by movieId",
        "unknown to the model, and left out: 77",
        "toy has no embeddings of users: --user has no say, and the history alone counts",
        "toy of run r1, after Heat, the film (1):",
    ]
    recommend.main([str(numbers / "root" / "model"), "--history", "1", "-k", "1", "--keep-seen", "--history", "2", "--quiet"])
    assert capsys.readouterr() == (" 1  2  6.0000\n", "")


def test_what_speaks_for_each_item(numbers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(numbers / "root" / "model"), "--history", "1,3", "-k", "2", "--titles", str(numbers / "movies.csv")]
    recommend.main([*asked, "--explain", "2"])
    by_vectors = " 1  2  2.0000  Ran\n      because of Heat, the film (1.000)\n 2  5  2.0000\n"
    assert capsys.readouterr().out == by_vectors + "      because of item 3 (0.707) | Heat, the film (0.707)\n"
    recommend.main([*asked, "--explain", "1", "--explain-by", "drop"])
    by_drop = " 1  2  2.0000  Ran\n      because of Heat, the film (1.200)\n 2  5  2.0000\n      because of item 3 (0.400)\n"
    assert capsys.readouterr().out == by_drop
    with pytest.raises(SystemExit):
        recommend.main([*asked, "--explain-by", "drop"])
    assert "--explain-by says how to explain: give --explain N too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("history", "why"), [([], "there is no --history"), (["--history", "77"], "nothing of the history is known")]
)
def test_popular_items(numbers: Path, capsys: pytest.CaptureFixture[str], history: list[str], why: str) -> None:
    recommend.main([str(numbers / "root" / "model"), "-k", "1", *history])
    out, err = capsys.readouterr()
    assert out == " 1  1  9.0000\n"
    assert f"{why}: these are the most popular items of toy" in err


@pytest.mark.parametrize(
    ("history", "known"),
    [
        (["a, b"], ["a, b"]),
        (["b,c , d"], ["b", "c", "d"]),
        (['"a, b",c'], ["a, b", "c"]),
        (["a, b", " e", 'f"'], AWKWARD[:1] + AWKWARD[4:]),
    ],
)
def test_ids_with_commas_and_blanks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], history: list[str], known: list[str]
) -> None:
    write_model(tmp_path / "toy", MATRIX, AWKWARD, COUNTS)
    recommend.main([str(tmp_path / "toy"), *(word for text in history for word in ("--history", text))])
    assert story(capsys.readouterr().err) == [f"toy of run r1, after {', '.join(known)}:"]


def test_a_chains_folder_is_taken_for_its_model(numbers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, run_id = numbers / "root", "20260101T000000Z-0000"
    write_model(root / "model" / "exports" / run_id, MATRIX, [1, 2, 3, 4, 5, 6], COUNTS, name="inner")
    (root / "model" / "exports" / "CURRENT").write_text(run_id)
    recommend.main([str(root), "--history", "1", "-k", "1"])
    assert story(capsys.readouterr().err) == ["inner of run r1, after 1:"]


def test_users_with_embeddings(numbers: Path) -> None:
    plain = Recommender.load(str(numbers / "root" / "model"))
    users = np.sort(hash_ids(pa.array([7, 8])))
    recommender = replace(plain, model=replace(plain.model, users=users))
    assert [recommender.knows_user(user) for user in (7, 9)] == [True, False]
    assert not plain.knows_user(7)
    assert recommend.ignored(recommender, [1], 9) == [
        "user 9 wasn't in the training: --user has no say, and the history alone counts"
    ]
    assert recommend.ignored(recommender, [1], 7) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL", "--history", "318,x"], "--history: 'x' is no id of this model, whose ids are whole numbers"),
        (["MODEL", "--history", "9" * 30], "is no id of this model"),
        (["MODEL", "--user", "me"], "--user: 'me' is no id"),
        (["MODEL", "--title-columns", "a,b"], "give that file too"),
        (["MODEL", "--titles", "OTHER"], r"its ids \('tt1', …\) are none of the items' \(1, 2, 3, …\)"),
        (["EMPTY"], "holds no exported model: run export_onnx"),
    ],
)
def test_mistakes(numbers: Path, arguments: list[str], message: str) -> None:
    (numbers / "other.csv").write_text("id,title\ntt1,Heat\n")
    paths = {"MODEL": "root/model", "OTHER": "other.csv", "EMPTY": "none"}
    with pytest.raises(SystemExit, match=message):
        recommend.main([str(numbers / paths[word]) if word in paths else word for word in arguments])
