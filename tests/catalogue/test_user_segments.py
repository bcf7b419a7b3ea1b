"""Segments of users, read from files in the forms that they come in."""

from pathlib import Path

import pyarrow as pa
import pytest

from seqrec.catalogue.user_segments import read_user_segments


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
