"""seqrec.storage.metadata: what is read of a meta.json, and what is said of one that is odd."""

import json
from pathlib import Path
from typing import Any

import pytest

from seqrec.errors import UserError
from seqrec.storage import versions
from seqrec.storage.candidate_metadata import SourceMeta
from seqrec.storage.metadata import DatasetMeta, ListsMeta
from tests.metas import dataset_meta, lists_meta

RUN_ID = "20260101T000000Z-0001"


def test_a_kind_reads_what_was_written_and_takes_more(tmp_path: Path) -> None:
    versions.write_meta(str(tmp_path), {**dataset_meta(RUN_ID, size=6), "further": [1]})
    meta = DatasetMeta.read(str(tmp_path))
    assert (meta.run_id, meta.vocabulary.size, meta.id_types.item, meta.counts.events["all"]) == (RUN_ID, 6, "string", 0)
    assert meta.vocabulary.lineage[-1].hash == meta.vocabulary.hash


def test_what_an_older_release_did_not_write_has_a_default(tmp_path: Path) -> None:
    versions.write_meta(str(tmp_path), lists_meta(RUN_ID))
    assert ListsMeta.read(str(tmp_path)).available is None
    assert SourceMeta.read(str(tmp_path)).method is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"run_id": None}, "has run_id null, expected a string"),
        ({"run_id": 7}, "has run_id 7, expected a string"),
        ({"max_len": "5"}, 'has max_len "5", expected a whole number'),
        ({"id_types": "bigint"}, 'has id_types "bigint", expected an object'),
        ({"id_types": {"user": "bigint", "item": "float"}}, "has id_types.item \"float\", expected 'bigint' or 'string'"),
        ({"vocabulary": {"size": 6, "hash": "v1"}}, "lacks vocabulary.lineage"),
        ({"vocabulary": {"size": 6, "hash": "v1", "lineage": {}}}, "has vocabulary.lineage {}, expected an array"),
        ({"counts": {}}, "lacks counts.events"),
        ({"tables": []}, "has tables [], expected an object"),
        ({"tables": {"items": {"rows": 1}}}, "lacks tables.items.files"),
    ],
)
def test_what_is_odd_is_one_line_with_the_file_the_key_and_the_remedy(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    (tmp_path / "meta.json").write_text(json.dumps({**dataset_meta(RUN_ID, size=6), **change}))
    with pytest.raises(UserError) as raised:
        DatasetMeta.read(str(tmp_path))
    assert str(raised.value) == f"{tmp_path}/meta.json {problem}: run the job that writes {tmp_path} again"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{}", "lacks run_id"),
        (b"[]", "holds [], expected an object with run_id"),
        (b"null", "holds null, expected an object with run_id"),
        (b"\xff\xfe{", "is not valid JSON"),
        (b"", "is not valid JSON"),
    ],
)
def test_what_is_no_meta_at_all_is_one_line_too(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "meta.json").write_bytes(content)
    with pytest.raises(UserError) as raised:
        SourceMeta.read(str(tmp_path))
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}/meta.json {problem}")
    assert message.endswith(f": run the job that writes {tmp_path} again")
    assert "\n" not in message
