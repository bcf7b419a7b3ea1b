"""A folder for `serving.served_folder`: the files that serving opens of an export, a second stage and rules.

Files of this disk become hard links, all others are copied. A folder is resolved once, so that all is of one version.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.catalogue.item_columns import read_item_columns
from seqrec.error_messages import hide_secrets
from seqrec.reranking.rules import Rules
from seqrec.serving import exports
from seqrec.serving.exports import Export
from seqrec.serving.open_rules import OPTIONS
from seqrec.serving.ranker_version import RankerVersion, locate_ranker
from seqrec.serving.second_stage_inputs import SecondStageInputs, open_inputs
from seqrec.serving.served_folder import ITEMS, MODEL, SECOND_STAGE, ServedContent
from seqrec.storage import files, versions
from seqrec.storage.meta import META
from seqrec.storage.ranker_metadata import FEATURE_SCHEMA

ID_KINDS = {"bigint": pa.int64(), "string": pa.string()}


def fill_folder(folder: Path, *, model: str, second: tuple[str, str, str] | None, rules: Rules | None, top_k: int) -> Export:
    """Fill a folder, which is made, with a model's current export and the current versions of candidates, features and a ranker.

    Returns the export. UserError if one of them isn't there. `ServedModel.open` checks what is in the folder.
    """
    export = exports.locate(model)
    folder.mkdir()
    _put_meta(export.path, folder / MODEL)
    for name, _ in export.scoring_files():
        _put(files.join(export.path, name), folder / MODEL)
    run_ids = {} if second is None else _put_second_stage(folder, open_inputs(*second[:2]), locate_ranker(second[2]))
    kept = None if rules is None else _put_items(folder, rules, ID_KINDS[export.meta.id_types.item])
    ServedContent(second_stage=run_ids, rules=kept, top_k=top_k).write(folder)
    return export


def folder_bytes(folder: Path) -> int:
    """The size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _put_second_stage(folder: Path, inputs: SecondStageInputs, ranker: RankerVersion) -> dict[str, str]:
    """Put the files of a second stage into the folder; the run id of each part."""
    paths = dict(zip(SECOND_STAGE, (inputs.candidates, inputs.features, ranker.path), strict=True))
    run_ids = {name: path.rsplit("/", 1)[-1] for name, path in paths.items()}
    places = {name: folder / name / run_id for name, run_id in run_ids.items()}
    tables = [
        ("candidates", inputs.lists),
        ("features", inputs.described("users")),
        ("features", inputs.described("item_features")),
    ]
    for name, table in tables:
        for file in [*versions.table_files(table), *(["_SUCCESS"] if files.exists(files.join(table, "_SUCCESS")) else [])]:
            _put(files.join(table, file), places[name] / table.rsplit("/", 1)[-1])
    for name, path in paths.items():
        _put_meta(path, places[name])
    _put(files.join(inputs.features, FEATURE_SCHEMA), places["features"])
    for file, _ in ranker.scoring_files():
        _put(files.join(ranker.path, file), places["ranker"])
    return run_ids


def _put_items(folder: Path, rules: Rules, kind: pa.DataType) -> Rules:
    """Put the columns that rules name into the folder, as lists of text; the rules that read them there."""
    if rules.items is None:
        return rules
    columns = read_item_columns(
        rules.items, rules.columns, kind=kind, key=rules.item_key, delimiter=rules.delimiter, options=OPTIONS
    )
    listed = {name: pa.array(values, pa.list_(pa.string())) for name, values in columns.values.items()}
    pq.write_table(pa.table({"item_id": columns.ids, **listed}), folder / ITEMS)
    return replace(rules, items=ITEMS, item_key="item_id")


def _put_meta(path: str, folder: Path) -> None:
    """Put a version's meta.json into a folder of this machine, without the credentials that its addresses may have."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / META).write_text(hide_secrets(files.read_text(files.join(path, META))))


def _put(path: str, folder: Path) -> None:
    """Put a file into a folder of this machine: a hard link to a local one if that can be, else a copy."""
    folder.mkdir(parents=True, exist_ok=True)
    local = files.fetch(path, folder)
    target = folder / local.name
    if not files.is_local(path):
        return
    try:
        target.hardlink_to(local.resolve())  # a link to a link would be one
    except OSError:  # another file system, or one without such links
        shutil.copyfile(local, target)
