"""Vectors of items that training starts from: read from any table or array, and matched with the vocabulary.

    vectors = read_item_vectors(source, data, cache)
    vectors.matrix        # (V, E), a row for each item of the vocabulary
    vectors.known         # (V,), the items that have a vector of their own

A trained item without a vector gets the mean of the vectors of its neighbours: of the items that stand right before and right
after it in the training windows, as often as they do. An item without such neighbours gets the mean of all vectors.
"""

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.catalogue.item_columns import holds_vectors
from seqrec.catalogue.item_file import read_item_file
from seqrec.catalogue.item_roles import choose_id, named_column
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.storage import files, versions
from seqrec.training.training_data import TrainingData

log = logging.getLogger("seqrec")

TABLE = "item_vectors"  # of embed_items
WHOLE = re.compile(r"[+-]?\d+(\.0+)?")
KEY = "item_vectors"

Matrix = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class VectorSource:
    """Where vectors are: a folder, file or .npy; the file of the ids of a .npy; the columns of a table (None: by their names)."""

    path: str
    ids: str | None
    id: str | None
    embedding: str


@dataclass(frozen=True, kw_only=True)
class ItemVectors:
    """Vectors of all V items of a vocabulary, in its order; `known` have one of their own, `trained` have training events."""

    matrix: Matrix  # (V, E)
    known: NDArray[np.bool_]  # (V,)
    trained: NDArray[np.bool_]  # (V,)

    def sha256(self) -> str:
        """A hash of the vectors, and of which items have one."""
        return hashlib.sha256(self.matrix.astype("<f4").tobytes() + np.packbits(self.known).tobytes()).hexdigest()


def read_item_vectors(source: VectorSource, data: TrainingData, cache: Path, *, says: bool) -> ItemVectors:
    """The vectors of a dataset's items; with `says`, it is logged how many have one, and what the others get.

    Raises UserError for vectors of different lengths or that aren't finite, for ids that repeat, and if none of the ids is of an
    item of the vocabulary.
    """
    ids, given = _read(source)
    places = _places(ids, data.items["item_id"])
    found = places >= 0
    path, size = source.path, len(data.items)
    if not found.any():
        ours = ", ".join(repr(item) for item in data.items["item_id"].slice(0, 3).to_pylist())
        raise UserError(
            f"{path}: 0 % of its {len(ids):,} ids ({', '.join(map(repr, ids[:3]))}, …) are items of the vocabulary ({ours}, …): "
            f"set {KEY}.id to the column with the ids of the ratings"
        )
    matrix, known = np.zeros((size, given.shape[1]), np.float32), np.zeros(size, bool)
    matrix[places[found]], known[places[found]] = given[found], True
    if found.sum() != known.sum():
        raise UserError(f"{path}: {found.sum() - known.sum():,} ids repeat: keep one vector an item")
    trained = data.items["count"].to_numpy() > 0
    beside = _fill(matrix, known, trained, data, cache) if not known[trained].all() else 0
    matrix[~known & ~matrix.any(axis=1)] = given[found].mean(axis=0)
    if says:
        log.info(
            "%s: %.1f %% of %s vectors are of items of the vocabulary; %s of its %s items have one, %s get the mean of those "
            "beside them in the windows, %s the mean of all; %s have no training event, but a vector",
            path,
            100 * found.mean(),
            f"{len(ids):,}",
            f"{known.sum():,}",
            f"{size:,}",
            f"{beside:,}",
            f"{(~known).sum() - beside:,}",
            f"{(known & ~trained).sum():,}",
        )
    return ItemVectors(matrix=matrix, known=known, trained=trained)


def _read(source: VectorSource) -> tuple[list[str], Matrix]:
    """The ids, as text, and the vectors (N, E) of a source."""
    if source.path.endswith(".npy"):
        return _read_array(source)
    if source.ids is not None:
        raise UserError(f"{KEY}.ids={source.ids} belongs to a .npy, and {source.path} isn't one: set {KEY}.ids=null")
    path = source.path
    if files.exists(files.join(path, versions.CURRENT)) or versions.RUN_ID.match(path.rstrip("/").rpartition("/")[2]):
        path = files.join(versions.resolve(path), TABLE)
    file = read_item_file(path)
    item_id = choose_id(file, source.id, option=f"{KEY}.id=COLUMN")
    column = file.table[named_column(file, source.embedding, option=f"{KEY}.embedding")]
    ids = [str(value).strip() for value in file.table[item_id].to_pylist()]
    return ids, _stack(column, ids, path=path)


def _read_array(source: VectorSource) -> tuple[list[str], Matrix]:
    """The ids and vectors of a .npy and of the file with its ids, one a row, in the same order."""
    if source.ids is None:
        raise UserError(f"{source.path} says no ids: set {KEY}.ids=FILE, with an id a line, or a table with a row a vector")
    try:
        array = np.load(files.local_path(source.path), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{source.path} is no array that numpy reads ({error}): write it by numpy.save") from None
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise UserError(f"{source.path} is {array.dtype} {array.shape}, expected numbers of shape (items, width)")
    ids = _read_ids(source.ids, source.id)
    if len(ids) != len(array):
        raise UserError(f"{source.ids} has {len(ids):,} ids, {source.path} has {len(array):,} rows: give an id for each row")
    vectors = array.astype(np.float32)
    _require_finite(vectors, ids, path=source.path)
    return ids, vectors


def _read_ids(path: str, name: str | None) -> list[str]:
    """Ids in the order of a file: the lines of a .txt, an array of a .npy, or a column of a table."""
    if path.endswith(".npy"):
        return [str(value) for value in np.load(files.local_path(path), allow_pickle=False).tolist()]
    if path.endswith(".txt"):
        return [line.strip() for line in files.read_text(path).splitlines() if line.strip()]
    file = read_item_file(path)
    return [str(value).strip() for value in file.table[choose_id(file, name, option=f"{KEY}.id=COLUMN")].to_pylist()]


def _stack(column: pa.ChunkedArray, ids: list[str], *, path: str) -> Matrix:
    """A column of vectors, lists or text such as `[0.1, 0.2]`, as (N, E)."""
    rows = column.to_pylist()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        rows = [_parse(text, item, path) for text, item in zip(rows, ids, strict=True)]
    elif not holds_vectors(column.type):
        raise UserError(f"{path}: the vectors are {column.type}, expected lists of numbers: set {KEY}.embedding=COLUMN")
    if not rows:
        raise UserError(f"{path} has no vectors: run embed_items, or set {KEY}.path=null")
    width = len(rows[0] or [])
    for row, item in zip(rows, ids, strict=True):
        if not row or len(row) != width:
            raise UserError(
                f"{path}: the vector of {item} has {len(row or [])} numbers, that of {ids[0]} has {width}: mend the table"
            )
    vectors = np.array(rows, np.float32)
    _require_finite(vectors, ids, path=path)
    return vectors


def _parse(text: str | None, item: str, path: str) -> list[float]:
    """The numbers in a text, between commas or blanks, with or without brackets."""
    try:
        return [float(part) for part in re.split(r"[\s,;]+", (text or "").strip().strip("[]").strip()) if part]
    except ValueError as error:
        raise UserError(f"{path}: the vector of {item} isn't one ({error}): write it as [0.1, 0.2]") from None


def _require_finite(vectors: Matrix, ids: list[str], *, path: str) -> None:
    """Raise UserError for vectors with NaN or infinite numbers."""
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise UserError(
            f"{path}: {len(broken):,} of {len(ids):,} vectors aren't finite, such as that of {ids[broken[0]]}: mend them"
        )


def _places(ids: list[str], vocabulary: pa.ChunkedArray) -> NDArray[np.int64]:
    """The place (N,) in the vocabulary of each id, -1 for one that isn't in it; an integer is found however it is written."""
    index = {item: place for place, item in enumerate(vocabulary.to_pylist())}
    if pa.types.is_string(vocabulary.type):
        return np.array([index.get(item, -1) for item in ids], np.int64)
    return np.array([index.get(int(item.partition(".")[0]), -1) if WHOLE.fullmatch(item) else -1 for item in ids], np.int64)


def _fill(matrix: Matrix, known: NDArray[np.bool_], trained: NDArray[np.bool_], data: TrainingData, cache: Path) -> int:
    """Give trained items without a vector the mean of their neighbours' in the windows; returns how many have such."""
    sums, times = np.zeros(matrix.shape, np.float64), np.zeros(len(matrix), np.int64)
    for part in versions.fetch_table(data.table("windows"), cache):
        table = pq.read_table(part, columns=["items"])["items"].combine_chunks()
        items = np.asarray(table.flatten()) - FIRST_ITEM
        rows = np.repeat(np.arange(len(table)), np.asarray(table.value_lengths()))
        here, beside = np.concatenate([[items[:-1], items[1:]], [items[1:], items[:-1]]], axis=1)
        same = np.tile(rows[:-1] == rows[1:], 2)
        usable = same & ~known[here] & known[beside]
        np.add.at(sums, here[usable], matrix[beside[usable]])
        np.add.at(times, here[usable], 1)
    filled = (times > 0) & trained
    matrix[filled] = (sums[filled] / times[filled, None]).astype(np.float32)
    return int(filled.sum())
