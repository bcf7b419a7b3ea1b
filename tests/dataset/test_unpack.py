"""Files that Spark can't read as they lie: the copy that it reads, and that it is removed."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from seqrec.dataset.head import settle_table
from seqrec.dataset.unpack import unpacked
from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable, WantedTable

TEXT = "user,item,rating,time\n" + "".join(f"{n},café{n % 7},3,97830076{n % 10}\n" for n in range(300))
CONTENT = TEXT.encode()


def settled(path: Path, **said: Any) -> InputTable:
    return settle_table(WantedTable(key="input", path=str(path), **said))


def archive(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for name, member in members.items():
            target.writestr(name.replace("_", "."), member)
    return content.getvalue()


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


PACKED = {
    "zip": ("r.zip", archive(r_csv=CONTENT)),
    "zip by another name": ("r.csv", archive(r_csv=CONTENT)),
    "gzip without its name": ("r.csv", gzip.compress(CONTENT)),
    "two gzips in one": ("r.csv", gzip.compress(CONTENT[:100]) + gzip.compress(CONTENT[100:])),
    "bzip2 without its name": ("r.csv", bz2.compress(CONTENT)),
    "xz": ("r.csv.xz", lzma.compress(CONTENT)),
    "Zstandard": ("r.csv.zst", zstandard(CONTENT)),
    "plain, called .gz": ("r.csv.gz", CONTENT),
    "UTF-16": ("r.csv", TEXT.encode("utf-16")),
    "UTF-16 without a mark": ("r.csv", TEXT.encode("utf-16-le")),
    "a zip of UTF-16": ("r.zip", archive(r_csv=TEXT.encode("utf-16"))),
    "a name with a colon": ("a: b.csv", CONTENT),
    "a name with an underscore": ("_r.csv", CONTENT),
}


@pytest.mark.parametrize("case", PACKED)
def test_the_copy_is_plain_text_and_is_removed(tmp_path: Path, case: str) -> None:
    name, content = PACKED[case]
    (tmp_path / name).write_bytes(content)
    table = settled(tmp_path / name)
    with unpacked(table, folder=f"{tmp_path}/version") as copy:
        assert Path(copy.path).read_bytes() == CONTENT
        assert Path(copy.path).is_relative_to(tmp_path / "version")
        assert (copy.place, copy.encoding, copy.delimiter) == (str(tmp_path / name), "UTF-8", ",")
    assert list((tmp_path / "version").rglob("*")) == []


def test_what_spark_reads_is_not_copied(tmp_path: Path) -> None:
    for name, content in {"r.csv": CONTENT, "r.csv.gz": gzip.compress(CONTENT), "r.csv.bz2": bz2.compress(CONTENT)}.items():
        (tmp_path / name).write_bytes(content)
        table = settled(tmp_path / name)
        with unpacked(table, folder=f"{tmp_path}/version") as same:
            assert same is table


def test_a_folder_is_copied_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        (tmp_path / "in" / f"{number}.csv").write_bytes(TEXT.encode("utf-16"))
    with unpacked(settled(tmp_path / "in"), folder=f"{tmp_path}/version") as copy:
        assert [path.read_bytes() for path in sorted(Path(copy.path).iterdir())] == [CONTENT] * 2


def test_the_member_of_an_archive(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(archive(r_csv=CONTENT, README_txt=b"x"))
    with pytest.raises(UserError, match=r"r\.zip has 2 files \(r\.csv, README\.txt\): say which one by input\.member=NAME"):
        settled(tmp_path / "r.zip")
    with pytest.raises(UserError, match=r"has no file 'q\.csv'"):
        settled(tmp_path / "r.zip", member="q.csv")
    with unpacked(settled(tmp_path / "r.zip", member="r.csv"), folder=f"{tmp_path}/version") as copy:
        assert Path(copy.path).read_bytes() == CONTENT


WHOLE = {"gzip": gzip.compress(CONTENT * 999), "xz": lzma.compress(CONTENT * 999), "zip": archive(r_csv=CONTENT)}


@pytest.mark.parametrize("form", WHOLE)
def test_a_broken_archive_is_named_and_nothing_stays(tmp_path: Path, form: str) -> None:
    (tmp_path / "r").write_bytes(WHOLE[form][: len(WHOLE[form]) // 2])
    table = InputTable(key="input", path=f"{tmp_path}/r")
    with pytest.raises(UserError, match="r can't be read: "), unpacked(table, folder=f"{tmp_path}/version"):
        pass
    assert [path for path in (tmp_path / "version").rglob("*") if path.is_file()] == []


def test_an_excel_workbook_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr("xl/workbook.xml", "<x/>")
    (tmp_path / "r.xlsx").write_bytes(content.getvalue())
    with pytest.raises(UserError, match="is an Excel workbook: save it as CSV"):
        settled(tmp_path / "r.xlsx")
