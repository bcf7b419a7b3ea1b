"""The rows of single users in a table of several files and row groups."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.serving.ranked_users import RowsByUser

FILES = [["g", "b", "e"], ["a"], ["d", "f"]]


def test_a_user_has_the_row_of_its_file_and_group(tmp_path: Path) -> None:
    table = tmp_path / "users"
    table.mkdir()
    for number, users in enumerate(FILES):
        rows = pa.table({"user_id": users, "place": [f"{number}{user}" for user in users], "other": [1] * len(users)})
        pq.write_table(rows, table / f"part-{number:05}.parquet", row_group_size=2)
    (table / "_SUCCESS").touch()
    before = len(os.listdir("/proc/self/fd"))
    rows = RowsByUser.open(str(table), tmp_path, columns=["user_id", "place"])
    for number, users in enumerate(FILES):
        for user in users:
            found = rows.row(user)
            assert found is not None
            assert found.to_pylist() == [{"user_id": user, "place": f"{number}{user}"}]
    assert len(os.listdir("/proc/self/fd")) == before, "no file stays open"
    assert rows.row("c") is None
    assert rows.empty_row().to_pylist() == [{"user_id": None, "place": None}]
