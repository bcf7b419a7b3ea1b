"""What is found by looking at a file, and where it can't be told."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqrec.dataset.detect import detect, main
from seqrec.errors import UserError

CSV = {"input.format": "csv"}
CASES: dict[str, tuple[str, str, dict[str, str]]] = {
    "MovieLens 1M": (
        "r.dat",
        "1::1193::5::978300760\n1::661::3::978302109\n",
        {**CSV, "input.delimiter": "::", "input.header": "false"},
    ),
    "MovieLens 100K": (
        "u.data",
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        {**CSV, "input.delimiter": "\\t", "input.header": "false"},
    ),
    "a header": (
        "r.csv",
        "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n",
        {
            **CSV,
            "input.delimiter": ",",
            "input.header": "true",
            "input.columns.user_id": "userId",
            "input.columns.item_id": "movieId",
        },
    ),
    "the time first, no rating": (
        "r.csv",
        '2020-01-01 10:00:00;u1;"a;b"\n2020-01-02 10:00:00;u1;c\n',
        {
            **CSV,
            "input.delimiter": ";",
            "input.header": "false",
            "input.names": "[timestamp, user_id, item_id]",
            "input.columns.rating": "null",
        },
    ),
    "two columns": (
        "r.txt",
        "1 1\n1 2\n",
        {
            **CSV,
            "input.delimiter": " ",
            "input.header": "false",
            "input.names": "[user_id, item_id]",
            "input.columns.rating": "null",
            "input.columns.timestamp": "null",
        },
    ),
    "JSON lines": (
        "r.json",
        '{"reviewerID": "A", "asin": "B", "overall": 5, "unixReviewTime": 1252800000}\n',
        {
            "input.format": "json",
            "input.columns.user_id": "reviewerID",
            "input.columns.item_id": "asin",
            "input.columns.rating": "overall",
            "input.columns.timestamp": "unixReviewTime",
        },
    ),
    "a list a user": (
        "r.json",
        '{"user": 1, "items": [1, 2]}\n',
        {"input.format": "json", "input.columns.user_id": "user", "input.columns.items": "items"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_found(tmp_path: Path, case: str) -> None:
    name, content, expected = CASES[case]
    (tmp_path / name).write_text(content)
    settings, _ = detect(str(tmp_path / name))
    assert settings == {"input.path": str(tmp_path / name), **expected}


def test_compressed_latin_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress("user,item,time\nJosé,1,978300760\n".encode("latin-1")))
    settings, _ = detect(str(tmp_path / "r.csv.gz"))
    assert settings["input.encoding"] == "ISO-8859-1"
    assert settings["input.columns.timestamp"] == "time"
    pq.write_table(pa.table({"user_id": [1], "movie_id": [2], "pos": [0]}), tmp_path / "r.parquet")
    settings, said = detect(str(tmp_path / "r.parquet"))
    assert settings["input.format"] == "parquet"
    assert (settings["input.columns.item_id"], settings["input.columns.timestamp"], settings["input.columns.rating"]) == (
        "movie_id",
        "pos",
        "null",
    )
    assert "no rating: every event counts" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("alone\nalone\n", "none of .* cuts its lines into equal columns"),
        ('[{"user": 1}]', "is a JSON array; give JSON lines"),
        (
            "movieId,title\n1,a\n",
            r"has the columns movieId, title, none of a name known for user_id: say which column is which: input\.columns",
        ),
        ("1,2,3,4\n1,2,3,4\n", r"columns none look like times, 3, 4 like ratings, 1, 2 like ids; .*input\.names"),
        ("".join(f"{place},{place + 1000}\n" for place in range(30)), "neither column 1 nor 2 has a value twice"),
    ],
)
def test_what_cannot_be_told_is_asked_for(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "r.csv").write_text(content)
    with pytest.raises(UserError, match=said):
        detect(str(tmp_path / "r.csv"))


def test_the_command_prints_overrides_and_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.csv").write_text("user_id,item_id,rating,timestamp\n1,2,3,978300760\n")
    main([str(tmp_path / "r.csv")])
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"input.path={tmp_path}/r.csv",
        "input.format=csv",
        "input.delimiter=,",
        "input.header=true",
    ]
    assert "rating is the column rating" in printed.err
    with pytest.raises(SystemExit, match=r"error: .*no such file"):
        main([str(tmp_path / "none.csv")])
    with pytest.raises(SystemExit, match="usage"):
        main([])
