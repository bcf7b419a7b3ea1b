"""Columns of samples into a model's features: one definition for training, for Spark's workers, and for one user.

    encoding.encode(batch)      (N, F) float32, in the order of encoding.features

    discrete     a code: 1 for the most frequent category of the training rows, 2 for the next, …; 0 for missing or any other
    continuous   the number; NaN where it is missing or not finite
    shares       a list of numbers that is as long for each row, such as user_genre_shares: a continuous feature a position
    list         a list of categories, such as recent_items: codes of its last entries, a position each, 0 where it is shorter

Codes are whole numbers below 2^24, so float32 holds them exactly. encoding.json has the columns and their categories, in order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.serving.sorted_ids import SortedIds

Kind = Literal["discrete", "continuous", "shares", "list"]
Features = NDArray[np.float32]
CATEGORY_TYPES = {"bigint": pa.int64(), "string": pa.string()}


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column of the features: its name, and for a discrete one the number of its codes, 0 included; 0 for a continuous one."""

    name: str
    codes: int = 0


@dataclass(frozen=True, kw_only=True)
class EncodedColumn:
    """A column of the samples, and how it becomes features.

    `categories` are those of a discrete column or a list, by code from 1 on, and `parts` the names of the positions of a list.
    """

    name: str
    kind: Kind
    categories: pa.Array | None = None
    parts: tuple[str, ...] = ()

    @property
    def features(self) -> list[Feature]:
        """The features that the column becomes."""
        codes = 0 if self.categories is None else len(self.categories) + 1
        if self.kind in ("shares", "list"):
            return [Feature(name=f"{self.name}[{part}]", codes=codes) for part in self.parts]
        return [Feature(name=self.name, codes=codes)]

    @cached_property
    def _sorted_categories(self) -> SortedIds:
        """The categories, sorted once."""
        return SortedIds.of(self.categories)

    def encode(self, column: pa.Array) -> NDArray[np.floating[Any]]:
        """The values (N, 1), or (N, parts) of lists; UserError for a column of another type, or shares of another length."""
        if self.kind == "list":
            return self._listed_codes(column)
        if self.categories is not None:
            return self._codes(column)[:, None]
        if self.kind == "shares":
            return self._shares(column)
        return numbers(column, name=self.name)[:, None]

    def _codes(self, column: pa.Array) -> NDArray[np.float32]:
        """The codes (N,) of a discrete column."""
        assert self.categories is not None
        values = category_values(column, name=self.name)
        if values.type != self.categories.type:
            raise UserError(
                f"column {self.name} is {column.type}, the model was trained on {self.categories.type}: give rows of the dataset "
                "that its samples were made from"
            )
        places = self._sorted_categories.find(values).cast(pa.int32())
        codes: NDArray[np.int32] = pc.fill_null(pc.add(places, 1), 0).to_numpy(zero_copy_only=False)
        return codes.astype(np.float32)

    def _listed_codes(self, column: pa.Array) -> NDArray[np.float32]:
        """The codes (N, parts) of the last entries of each list, in their order; 0 for a row without a list."""
        if not is_list(column.type):
            raise UserError(f"column {self.name} is {column.type}, lists of categories are expected")
        width, entries = len(self.parts), self._codes(column.flatten())
        lengths: NDArray[np.int64] = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        skipped = np.maximum(lengths - width, 0)[rows]
        places = np.arange(len(entries)) - (np.cumsum(lengths) - lengths)[rows] - skipped
        codes = np.zeros((len(lengths), width), np.float32)
        codes[rows[places >= 0], places[places >= 0]] = entries[places >= 0]
        return codes

    def _shares(self, column: pa.Array) -> NDArray[np.float32]:
        """The numbers (N, parts) of lists, NaN for a row without one."""
        if not is_list(column.type):
            raise UserError(f"column {self.name} is {column.type}, the model expects lists of {len(self.parts)} numbers")
        there = column.is_valid().to_numpy(zero_copy_only=False)
        lengths = pc.unique(pc.drop_null(pc.list_value_length(column))).to_pylist()
        if any(length != len(self.parts) for length in lengths):
            raise UserError(
                f"column {self.name} has lists of {max(lengths)} numbers, the model expects {len(self.parts)} "
                f"({', '.join(self.parts)}): make the features with the same genres, or train the model again"
            )
        shares = np.full((len(column), len(self.parts)), np.nan, np.float32)
        shares[there] = numbers(column.flatten(), name=self.name).reshape(int(there.sum()), len(self.parts))
        return shares


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The columns that a ranker or a tower uses, in the order of its features."""

    columns: tuple[EncodedColumn, ...]

    @cached_property
    def features(self) -> list[Feature]:
        """The F features, in order."""
        return [feature for column in self.columns for feature in column.features]

    @property
    def names(self) -> list[str]:
        """The names of the columns that `encode` reads."""
        return [column.name for column in self.columns]

    def encode(self, batch: pa.RecordBatch | pa.Table) -> Features:
        """The features (N, F) of rows; UserError, with its name, for a column that is missing or of another type."""
        self.require_columns(batch.schema.names)
        features: Features = np.empty((len(batch), len(self.features)), np.float32)
        first = 0
        for column in self.columns:
            width = len(column.features)
            features[:, first : first + width] = column.encode(_whole(batch.column(column.name)))
            first += width
        return features

    def tells(self, features: Features) -> NDArray[np.bool_]:
        """Which rows (N,) of encoded features (N, F) say anything: a category that has a code, or a number."""
        coded = np.array([feature.codes > 0 for feature in self.features])
        says: NDArray[np.bool_] = np.where(coded, features != 0, ~np.isnan(features)).any(axis=1)
        return says

    def require_columns(self, names: Sequence[str], *, where: str = "the table") -> None:
        """Raise UserError, which names the columns, if `where` lacks any that the model expects."""
        if lacking := [name for name in self.names if name not in names]:
            raise UserError(
                f"{where} lacks {', '.join(lacking)}, which the model expects: make it as the model's samples were made, or "
                "train a model on the columns that are there"
            )

    def to_json(self) -> str:
        """The content of encoding.json."""
        return json.dumps({"columns": [_described(column) for column in self.columns]}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def of_json(cls, text: str) -> "Encoding":
        """The encoding of a file encoding.json."""
        return cls(columns=tuple(_column(content) for content in json.loads(text)["columns"]))


def category_values(column: pa.Array, *, name: str) -> pa.Array:
    """A discrete column as 64-bit integers or text; UserError for a column of another type.

    >>> category_values(pa.array([True, None]), name="member").to_pylist()
    [1, None]
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return column.cast(pa.int64())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    raise UserError(f"column {name} is {column.type}, a discrete one holds whole numbers or text: leave it out of the columns")


def numbers(column: pa.Array, *, name: str) -> NDArray[np.float32]:
    """A continuous column (N,), NaN where a value is missing or not finite; UserError for a column that isn't of numbers.

    >>> numbers(pa.array([3, None]), name="age").tolist()
    [3.0, nan]
    """
    plain = plain_numbers(column)
    if plain is None:
        raise UserError(f"column {name} is {column.type}, a continuous one holds numbers: leave it out of the columns")
    column = plain
    with np.errstate(over="ignore"):
        values = column.to_numpy(zero_copy_only=False).astype(np.float32)
    return np.where(np.isfinite(values), values, np.float32(np.nan))


def plain_numbers(column: pa.Array) -> pa.Array | None:
    """A column as integers or floats, which NumPy takes; None for one that isn't of numbers.

    >>> plain_numbers(pa.array([True, None])).to_pylist(), plain_numbers(pa.array(["1"]))
    ([1, None], None)
    """
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column
    casts = {pa.types.is_boolean: pa.int8(), pa.types.is_decimal: pa.float64(), pa.types.is_null: pa.float32()}
    return next((column.cast(plain) for is_kind, plain in casts.items() if is_kind(kind)), None)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type of Arrow is that of lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _described(column: EncodedColumn) -> dict[str, Any]:
    """A column in encoding.json."""
    content: dict[str, Any] = {"name": column.name, "kind": column.kind}
    if column.categories is not None:
        content["type"] = next(name for name, kind in CATEGORY_TYPES.items() if kind == column.categories.type)
        content["categories"] = column.categories.to_pylist()
    return {**content, "parts": list(column.parts)} if column.parts else content


def _column(content: dict[str, Any]) -> EncodedColumn:
    """A column of encoding.json."""
    kind, categories = content["kind"], None
    if "categories" in content:
        categories = pa.array(content["categories"], CATEGORY_TYPES[content["type"]])
    return EncodedColumn(name=content["name"], kind=kind, categories=categories, parts=tuple(content.get("parts", ())))
