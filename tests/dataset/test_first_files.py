"""Which files a path means, and what their first bytes tell."""

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from seqrec.dataset.content import encoding_of
from seqrec.dataset.dialect import cut_lines
from seqrec.dataset.first_files import first_file, input_files
from seqrec.dataset.head import read_head, settle_table
from seqrec.errors import UserError
from seqrec.tables.input_table import WantedTable


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("user,item\n1,2\n")


FILES = ("a.csv", "b.csv", "c.txt", ".d.csv", "_e.csv", "in/a.csv", "in/b.csv", "day=1/a.csv", "day=2/a.csv")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("[ab].csv", ["a.csv", "b.csv"]),
        ("[!a].*", ["b.csv", "c.txt"]),
        ("{a,c}.{csv,txt}", ["a.csv", "c.txt"]),
        ("?.t*", ["c.txt"]),
        ("*/a.csv", ["day=1/a.csv", "day=2/a.csv", "in/a.csv"]),
        ("i*/", ["in/a.csv", "in/b.csv"]),
        ("day=*", ["day=1/a.csv", "day=2/a.csv"]),
        ("in", ["in/a.csv", "in/b.csv"]),
        ("a.csv", ["a.csv"]),
    ],
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_files_of_a_pattern_or_a_folder(tmp_path: Path, pattern: str, expected: list[str], scheme: str) -> None:
    make(tmp_path, *FILES)
    found = input_files(f"{scheme}{tmp_path}/{pattern}")
    assert [file.path.removeprefix(scheme) for file in found] == [f"{tmp_path}/{name}" for name in expected]


def test_a_relative_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, *FILES)
    monkeypatch.chdir(tmp_path)
    assert [file.path for file in input_files("*.txt")] == ["./c.txt"]
    assert [file.path for file in input_files("in/*b.csv")] == ["./in/b.csv"]


def test_folders_named_by_a_column_give_it(tmp_path: Path) -> None:
    make(tmp_path, "day=1/a.csv")
    assert first_file(str(tmp_path)).partitions == {"day": "1"}
    head = read_head(WantedTable(key="input", path=str(tmp_path)))
    assert (head.names, head.rows, head.table.names) == (["user", "item", "day"], [["1", "2", "1"]], None)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.csv", "none.csv: no such file or folder"),
        ("n*.csv", "n\\*.csv: no file or folder matches it"),
        ("outer", "is an empty folder, and Spark doesn't look into folders in it, such as inner: give .*outer/\\*"),
    ],
)
def test_a_path_without_files_is_named(tmp_path: Path, path: str, said: str) -> None:
    make(tmp_path, "outer/inner/a.csv")
    with pytest.raises(UserError, match=said):
        input_files(f"{tmp_path}/{path}")


BESIDE = "would be read, and {} left out, since Spark doesn't look into folders beside files: "
COLUMN = "would be read, and {} left out, since the folders' names are a column: "


@pytest.mark.parametrize(
    ("names", "path", "said"),
    [
        (
            ["a.csv", "old/b.csv"],
            "",
            "1 file (a.csv) " + BESIDE.format("1 file (old/b.csv)") + "PATH/* reads all; PATH/a.csv reads",
        ),
        (
            ["a.csv", "b.csv", "old/b.csv"],
            "",
            "PATH/* reads all; PATH/*.csv reads the files of that ending beside the folders alone",
        ),
        (["a.csv", "b", "old/b.csv", "_old/c.csv"], "/", "PATH/[!._]* reads all; PATH/*.ENDING reads the files of that ending"),
        (["a.csv", "old/x/b.csv", "old/c.csv"], "", "2 files (old/c.csv, …) left out"),
        (["a.csv", "old/x/b.csv"], "", "to read all, move them into one folder; PATH/a.csv reads that file alone"),
        (
            ["a.csv", "old/x/b.csv"],
            "/*",
            "(PATH/old/x/b.csv) left out, since Spark doesn't look into folders beside files: give a",
        ),
        (
            ["a.csv", "day=1/b.csv"],
            "",
            "1 file (day=1/b.csv) " + COLUMN.format("1 file (a.csv)") + "PATH/* reads all, without this",
        ),
        (["old/a.csv", "day=1/b.csv"], "", "to read the folders alone, move the other files away"),
        (["day=1/a.csv", "day=1/old/b.csv"], "/*", "1 file (PATH/day=1/old/b.csv) left out"),
        (
            ["old/day=1/a.csv", "b.csv"],
            "/*",
            "1 file (PATH/b.csv) left out, since the folders' names are a column: give a pattern",
        ),
    ],
)
def test_a_folder_of_which_spark_would_read_a_part_is_refused(tmp_path: Path, names: list[str], path: str, said: str) -> None:
    make(tmp_path, *names)
    with pytest.raises(UserError) as raised:
        input_files(f"{tmp_path}{path}")
    assert said.replace("PATH", str(tmp_path)) in str(raised.value)
    for form in ("auto", "parquet"):  # with all keys of the file given, its first rows aren't read
        with pytest.raises(UserError, match=r"^input\.path: .* left out"):
            settle_table(WantedTable(key="input", path=f"{tmp_path}{path}", format=form))


@pytest.mark.parametrize(
    ("names", "path", "expected"),
    [
        (["a.csv", "old/b.csv"], "*", ["a.csv", "old/b.csv"]),
        (["a.csv", "old/b.csv"], "*.csv", ["a.csv"]),
        (["a.csv", "_old/b.csv", ".old/b.csv", ".day=1/b.csv", "_delta_log/0.json", "docs/README.md"], "", ["a.csv"]),
        (["README.md", "day=1/a.csv", "_day=1/b.csv"], "", ["README.md", "_day=1/b.csv", "day=1/a.csv"]),
        (["day=1/a.csv", "day=1/old/b.csv"], "", ["day=1/a.csv", "day=1/old/b.csv"]),
    ],
)
def test_nothing_is_left_out_of_other_folders(tmp_path: Path, names: list[str], path: str, expected: list[str]) -> None:
    make(tmp_path, *names)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "none.csv").write_bytes(b"")
    assert [file.path for file in input_files(f"{tmp_path}/{path}") if file.size] == [f"{tmp_path}/{name}" for name in expected]


def test_the_files_that_a_path_lists_are_those_that_spark_reads(spark: SparkSession, tmp_path: Path) -> None:
    for number, names in enumerate(
        (["a", "_b"], ["d=1/a", "d=2/x/y/b", "d=2/.x/b"], ["_d=1/a", ".d=1/b"], ["d=1/e=1/a", "d=2/e=2/b"])
    ):
        folder = tmp_path / str(number)
        make(folder, *names)
        listed = spark.read.text(str(folder)).inputFiles()
        assert [f"file://{file.path}" for file in input_files(str(folder))] == sorted(listed)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n", "UTF-8"),
        ("café\n".encode(), "UTF-8"),
        ("café\n".encode("latin-1"), "ISO-8859-1"),
        ("\u201ex\u201c\n".encode("cp1252"), "windows-1252"),
        ("café\n".encode() * 3 + "café\n".encode("latin-1"), "UTF-8"),
        ("café\n".encode("utf-16"), "UTF-16"),
        ("cafe\n".encode("utf-16-le"), "UTF-16LE"),
        ("cafe\n".encode("utf-16-be"), "UTF-16BE"),
        ("cafe\n".encode("utf-32"), "UTF-32"),
    ],
)
def test_the_encoding_of_most_lines_counts(content: bytes, expected: str) -> None:
    assert encoding_of(content, whole=True)[0] == expected


@pytest.mark.parametrize(
    ("text", "delimiter", "quote"),
    [
        ("a,b\n1,2\n", ",", '"'),
        ("1\t2019-01-01 10:00:00\tx,y\n2\t2019-01-01 10:00:01\tz,w\n", "\t", '"'),
        ("user,item,time\n1,2,Wed Mar 22 11:37:04 2017\n", ",", '"'),
        ("1::a b, c::5\n2::d e, f::3\n", "::", '"'),
        ("u i t\n1 2 3\n", " ", '"'),
        ('1,"a,4\n2,"b,5\n', ",", None),
        ('1,"a,4",2\n2,"b,5",2\n', ",", '"'),
        ('1,"b""z,"\n2,"c"",z"\n', ",", '"'),
        (r'1,"b\"z,"' + "\n" + r'2,"c\",z"' + "\n", ",", '"'),
    ],
)
def test_delimiter_and_quote(text: str, delimiter: str, quote: str | None) -> None:
    dialect = cut_lines(text, WantedTable(key="input", path="x"), path="x").dialect
    assert (dialect.delimiter, dialect.quote) == (delimiter, quote)


@pytest.mark.parametrize("delimiter", ["auto", ","])
def test_a_first_line_with_other_cells_is_named(tmp_path: Path, delimiter: str) -> None:
    """As R writes the names of rows; with names for all columns the lines are taken."""
    (tmp_path / "r.csv").write_text("user,item\n" + "a,1,2\n" * 20)
    wanted = WantedTable(key="input", path=f"{tmp_path}/r.csv", delimiter=delimiter)
    with pytest.raises(
        UserError, match="lines have 3 cells between ',', but the first has 2: remove lines above it, or name all"
    ):
        read_head(wanted)
    head = read_head(replace(wanted, delimiter=",", names=["row", "user", "item"], header=True))
    assert (head.names, head.rows[0], len(head.rows)) == (["row", "user", "item"], ["a", "1", "2"], 20)
