"""Samples for rankers, read without Spark: which table, which columns are features, which is the label; rows in batches."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.serving.feature_encoding import plain_numbers
from seqrec.storage import files, versions
from seqrec.storage.ranker_metadata import FEATURE_SCHEMA, FeatureSchema, SamplesMeta

TABLES = ("ranker_samples", "ranking_samples")
SPLIT, USER, ITEM_MEAN = "split", "user_id", "item_mean_rating"
SPLITS = ("train", "valid", "test")
RANKED = "run build_ranker_samples, or build_features samples=[ranking], and give its folder as samples"  # what writes TABLES
BATCH_ROWS = 65536

Labels = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LabelColumn:
    """The column of the label: it holds 0 and 1, or, with a threshold, numbers of which those above are 1."""

    name: str = "label"
    threshold: float | None = None

    def values(self, column: pa.Array, *, path: str) -> NDArray[np.float64]:
        """0, 1, or NaN where the label is missing (N,); UserError for another value, or for a column that isn't of numbers."""
        plain = plain_numbers(column)
        if plain is None:
            raise UserError(f"{path}: label.column={self.name} is {column.type}, a label is a number: name another column")
        values: NDArray[np.float64] = plain.to_numpy(zero_copy_only=False).astype(np.float64)
        if self.threshold is not None:
            return np.where(np.isnan(values), np.nan, values > self.threshold)
        wrong = values[~np.isnan(values) & (values != 0) & (values != 1)]
        if len(wrong):
            raise UserError(
                f"{path}: label.column={self.name} holds {wrong[0]:g}, a label is 0 or 1: name another column, or set "
                "label.threshold, above which a value is 1"
            )
        return values


@dataclass(frozen=True, kw_only=True)
class SampleRows:
    """N rows of one split that have a label: all columns that were asked for, and the labels."""

    rows: pa.RecordBatch
    labels: Labels


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A table of samples in a version, what its schema file says of it, and its label."""

    path: str  # of the version
    table: str  # its name, one of TABLES
    meta: SamplesMeta
    schema: FeatureSchema
    arrow: pa.Schema
    label: LabelColumn

    @property
    def place(self) -> str:
        """The path of the table."""
        return files.join(self.path, self.table)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The columns, the label and the split of all rows, in the order of the table's files."""
        names = list(dict.fromkeys([*columns, SPLIT, self.label.name]))
        for file in versions.table_files(self.place):
            with tempfile.TemporaryDirectory(prefix="seqrec-samples-") as cache:
                local = files.fetch(files.join(self.place, file), Path(cache))
                with pq.ParquetFile(local) as source:
                    yield from source.iter_batches(BATCH_ROWS, columns=names)

    def labelled(self, split: str, columns: Sequence[str]) -> Iterator[SampleRows]:
        """The rows of a split that have a label; no batch is empty."""
        for batch in self.batches(columns):
            labels = self.label.values(batch.column(self.label.name), path=self.place)
            wanted = pc.equal(batch.column(SPLIT), split).fill_null(False).to_numpy(zero_copy_only=False) & ~np.isnan(labels)
            if wanted.any():
                yield SampleRows(rows=batch.filter(pa.array(wanted)), labels=labels[wanted].astype(np.float32))


def open_samples(folder: str, *, label: LabelColumn, tables: Sequence[str] = TABLES, remedy: str = RANKED) -> Samples:
    """The current version of samples in a folder, or the version that a path names: the first of the tables that it has.

    Raises UserError, with the remedy, if it has none of them, or if the table lacks the split or the label.
    """
    path = versions.resolve(folder)
    meta = SamplesMeta.read(path)
    there = [name for name in tables if name in meta.tables]
    if not there:
        raise UserError(f"{path} has no table {' or '.join(tables)}: {remedy}")
    place = files.join(path, there[0])
    arrow = table_schema(place)
    for name, remedy in ((SPLIT, "train, valid or test"), (label.name, "set label.column to the name of another")):
        if name not in arrow.names:
            raise UserError(f"{place} has no column {name} ({remedy}); its columns are {', '.join(arrow.names)}")
    if not pa.types.is_string(arrow.field(SPLIT).type):
        raise UserError(f"{place}: column {SPLIT} is {arrow.field(SPLIT).type}, it says train, valid or test: write it as text")
    return Samples(path=path, table=there[0], meta=meta, schema=read_feature_schema(path, there[0]), arrow=arrow, label=label)


def read_feature_schema(path: str, table: str) -> FeatureSchema:
    """What feature_schema.json of a version says of a table; UserError if it doesn't."""
    place = files.join(path, FEATURE_SCHEMA)
    remedy = f"run the job that writes {path} again"
    try:
        content = json.loads(files.read_text(place))
    except FileNotFoundError:
        raise UserError(f"{place} is missing: {remedy}") from None
    except ValueError as error:
        raise UserError(f"{place} is not valid JSON ({error}): {remedy}") from None
    described = content.get(table) if isinstance(content, dict) else None
    if not isinstance(described, dict):
        raise UserError(f"{place} says nothing of {table}: {remedy}")
    shared = {key: content[key] for key in ("genres", "recent_items") if key in content}
    return FeatureSchema.of({**shared, **described}, path=place, remedy=remedy)


def table_schema(table: str) -> pa.Schema:
    """The columns of a table, by its first file; UserError if it has none."""
    names = versions.table_files(table)
    if not names:
        raise UserError(f"the table {table} has no rows: run the job that writes it again")
    with tempfile.TemporaryDirectory(prefix="seqrec-samples-") as cache:
        return pq.read_schema(files.fetch(files.join(table, names[0]), Path(cache)))
