"""Segments of users, read from files in the forms that they come in."""

from pathlib import Path

import pyarrow as pa
import pytest

from seqrec.catalogue.item_fields import read_item_fields
from seqrec.catalogue.user_segments import read_user_segments
from seqrec.errors import UserError
from seqrec.reranking.rules import Cap, Rules
from seqrec.serving.open_rules import open_rules


@pytest.mark.parametrize(
    ("text", "column", "key"),
    [
        ("user_id,country\nu1,FR\nu2,DE\n", "country", None),
        ("customer,country\nu1,FR\nu2,DE\n", "country", "customer"),
        ("Customer_ID,land\nu1,FR\nu2,DE\n", "2", None),
        ("u1,FR\nu2,DE\n", "2", "1"),
        ("userId,country\n7,FR\n8,DE\n", "country", None),
    ],
)
def test_users_with_text_ids_are_read_with_and_without_a_header(tmp_path: Path, text: str, column: str, key: str | None) -> None:
    path = tmp_path / "users.csv"
    path.write_text(text)
    segments = read_user_segments(str(path), column, kind=pa.string(), key=key)
    users = ["7", "8"] if "7" in text else ["u1", "u2"]
    assert (segments.users.to_pylist(), segments.names.to_pylist()) == (users, ["FR", "DE"])


def test_rows_that_are_left_out_are_told(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(b"user_id,country\n1,FR\n1,DE\nx,DE\n,DE\n2,DE,5\n3,\n" + b"4,FR\n" * 40)
    words = read_user_segments(str(path), "country", kind=pa.int64()).words
    assert words.startswith(f"2 segments by country of {path}, for 3 users by user_id, 1 of them without one; ")
    assert "1 lines of another width are left out" in words
    assert words.endswith("; 42 rows repeat an id, or have none of the type of the ids, and are left out")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "absent.csv",
            r"^user_table=.*absent.csv: no such file; give a CSV, JSON lines or Parquet file of users, or",
        ),
        ("header.csv", r"^user_table=.*header.csv has a header, and no users below it"),
        ("folder", r"^user_table=.*folder holds no Parquet files: give a file of users"),
    ],
)
def test_errors_name_the_key_and_what_the_file_is_of(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "header.csv").write_text("user_id,country\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("none")
    with pytest.raises(UserError, match=message):
        read_user_segments(str(tmp_path / name), "country", kind=pa.int64())


def test_errors_in_files_of_items_name_their_keys(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.csv")
    with pytest.raises(UserError, match=r"^rerank.items.path=.*absent.csv: no such file; give a .* file of items"):
        open_rules(Rules(items=absent, caps=[Cap("genres", 1)]), pa.array([1]))
    with pytest.raises(UserError, match=r"^mongo.item_table=.*absent.csv: no such file"):
        read_item_fields(absent, ["title"])
