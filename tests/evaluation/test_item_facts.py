"""Where the vectors of items are, by the folder that is named."""

from pathlib import Path

import pytest

from seqrec.errors import UserError
from seqrec.evaluation.item_facts import vector_table

OLDER, RUN_ID = "20260101T000000Z-0000", "20260102T000000Z-0000"


def version(folder: Path, *tables: str) -> Path:
    """A folder whose current version has the tables."""
    for run_id in (OLDER, RUN_ID):
        for table in tables:
            (folder / run_id / table).mkdir(parents=True)
        (folder / run_id).mkdir(parents=True, exist_ok=True)
    (folder / "CURRENT").write_text(RUN_ID + "\n")
    return folder


@pytest.mark.parametrize(
    ("place", "table"), [("vectors", "item_vectors"), ("lists", "item_embeddings"), ("model/exports", "item_embeddings")]
)
def test_a_folder_stands_for_the_table_of_its_current_version(tmp_path: Path, place: str, table: str) -> None:
    folder = version(tmp_path / place, table)
    named = folder.parent if place.startswith("model") else folder
    assert vector_table(str(named)) == f"{folder}/{RUN_ID}/{table}"
    assert vector_table(f"{folder}/{OLDER}") == f"{folder}/{OLDER}/{table}"


def test_another_path_is_a_table_itself_and_a_version_without_vectors_is_refused(tmp_path: Path) -> None:
    assert vector_table(str(tmp_path / "vectors.parquet")) == f"{tmp_path}/vectors.parquet"
    with pytest.raises(UserError, match="data/20260102T000000Z-0000 has none of the tables item_vectors, item_embeddings"):
        vector_table(str(version(tmp_path / "data", "items")))
