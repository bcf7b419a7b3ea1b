"""A version of features as two towers read it, without Spark: matching_samples, its columns by tower, and all items."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.rankers.samples import LabelColumn, Samples, open_samples, table_schema
from seqrec.storage import files, versions
from seqrec.storage.ranker_metadata import FeaturesMeta

SAMPLES, USERS, ITEMS, PAST = "matching_samples", "users", "item_features", "past_items"
MATCHING = "run build_features samples=[matching], and give its folder as features.path"

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class MatchingInputs:
    """A version of features: its samples, and which of their columns are features of users and of items, in their order."""

    samples: Samples
    meta: FeaturesMeta
    user_columns: tuple[str, ...]
    item_columns: tuple[str, ...]

    def table(self, name: str) -> str:
        """The path of a table of the version: USERS, ITEMS or PAST."""
        return files.join(self.samples.path, name)


@dataclass(frozen=True, kw_only=True)
class TowerCatalogue:
    """All items that get vectors: those of the dataset in the order of item_idx, then new ones in the order of item_id.

    ids            item_id and item_idx, which counts from FIRST_ITEM on
    rows           the columns of their features, nulls for an item that item_features lacks
    known          how many of them the dataset has
    """

    ids: pa.Table
    rows: pa.Table
    known: int


def open_matching(
    folder: str,
    *,
    dataset: str,
    history: str,
    user_columns: Sequence[str] | None = None,
    item_columns: Sequence[str] | None = None,
) -> MatchingInputs:
    """The current version of features in a folder; columns that aren't named are all that samples and the tables have.

    Raises UserError if it has no matching_samples or past_items, if it is of another dataset (a run id) or of another history
    than the lists, and for a column that isn't there.
    """
    samples = open_samples(folder, label=LabelColumn(), tables=[SAMPLES], remedy=MATCHING)
    if PAST not in samples.meta.tables:
        raise UserError(f"{samples.path} has no table {PAST}, which says what users have had: {MATCHING}")
    meta = FeaturesMeta.read(samples.path)
    if meta.dataset != dataset:
        raise UserError(
            f"{samples.path} has features of dataset {meta.dataset}, not {dataset}: run build_features again, or pass "
            f"data=FOLDER/{meta.dataset}"
        )
    if meta.history != history:
        raise UserError(
            f"{samples.path} has features with history={meta.history}, the lists have history={history}: run build_features "
            f"history={history}, or set history={meta.history}"
        )
    inputs = MatchingInputs(samples=samples, meta=meta, user_columns=(), item_columns=())
    users, items = (table_schema(inputs.table(name)).names for name in (USERS, ITEMS))
    return MatchingInputs(
        samples=samples,
        meta=meta,
        user_columns=_choose(samples, "features.user_columns", user_columns, users),
        item_columns=_choose(samples, "features.item_columns", item_columns, items),
    )


def _choose(samples: Samples, key: str, named: Sequence[str] | None, table: list[str]) -> tuple[str, ...]:
    """The columns of a tower; UserError, which names the key and the column, for one that is no feature of samples and table."""
    listed = [*samples.schema.discrete, *samples.schema.continuous]
    there = [name for name in samples.arrow.names if name in listed and name in table]
    wanted = there if named is None else list(named)
    for name in wanted:
        if name not in there:
            raise UserError(f"{key}: {samples.place} has no feature {name!r} of these; its features are {', '.join(there)}")
        if wanted.count(name) > 1:
            raise UserError(f"{key}: column {name} is named twice: name it once")
    if not wanted:
        raise UserError(f"{key}: no column is left, so all would have one vector: name some of {', '.join(there) or 'none'}")
    return tuple(name for name in there if name in wanted)


def read_tower_catalogue(inputs: MatchingInputs, data: str, *, new_items: bool, cache: Path) -> TowerCatalogue:
    """The items of a dataset's version and, with new_items, those that item_features alone has.

    Items of the dataset that item_features lacks are counted in a warning: no more than their id is known of them.
    """
    vocabulary = _read(files.join(data, "items"), ["item_id", "item_idx"], cache / "items").sort_by("item_idx")
    columns = list(dict.fromkeys(["item_id", *inputs.item_columns]))
    features = _read(inputs.table(ITEMS), columns, cache / ITEMS).combine_chunks().sort_by("item_id")
    ids = pa.concat_arrays(vocabulary["item_id"].chunks)
    described = pa.concat_arrays(features["item_id"].chunks)
    if new_items:
        added = described.filter(pc.invert(pc.is_in(described, value_set=ids)))
        ids = pa.concat_arrays([ids, added])
    places = pc.index_in(ids, value_set=described)
    if lacking := places.null_count:
        log.warning("%s lacks %s of the dataset: the id alone is known of them", inputs.table(ITEMS), counted(lacking, "item"))
    rows = features.take(places)
    rows = rows.set_column(rows.schema.get_field_index("item_id"), "item_id", ids)
    indices = pa.array(np.arange(FIRST_ITEM, FIRST_ITEM + len(ids)), pa.int32())
    return TowerCatalogue(ids=pa.table({"item_id": ids, "item_idx": indices}), rows=rows, known=len(vocabulary))


def read_user_rows(inputs: MatchingInputs, *, most: int, cache: Path) -> pa.Table:
    """The columns of the users' tower in the first rows of the table users, at most `most`; remote files go to the cache."""
    table, parts, columns = inputs.table(USERS), list[pa.RecordBatch](), list(inputs.user_columns)
    for name in versions.table_files(table):
        with pq.ParquetFile(files.fetch(files.join(table, name), cache)) as source:
            parts += source.iter_batches(most, columns=columns)
        if sum(map(len, parts)) >= most:
            break
    return pa.Table.from_batches(parts).slice(0, most).select(columns)


def _read(table: str, columns: list[str], cache: Path) -> pa.Table:
    """Columns of a table; a remote one is copied to the cache first."""
    return pa.concat_tables(pq.read_table(part, columns=columns) for part in versions.fetch_table(table, cache))
