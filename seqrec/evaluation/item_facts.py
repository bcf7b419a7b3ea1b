"""What the lists of all methods are measured by: training events of the items, their genres, and vectors of them.

    facts = read_item_facts(dataset, FactSources(items="movies.csv", vectors="/data/model"))

All methods are measured by the same vectors, whichever they are: an item matrix says how alike items are to the users who took
them, vectors of texts how alike they are by what is said of them. The facts are in the driver's memory and in that of each Python
worker: 1,000,000 items with 64 numbers are 260 MB.
"""

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.catalogue.item_columns import cell_values, holds_vectors
from seqrec.catalogue.item_fields import ItemFields
from seqrec.catalogue.item_file import ItemFile, read_item_file
from seqrec.catalogue.item_roles import choose_id, named_column
from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.evaluation.list_measures import ABSENT, ItemFacts
from seqrec.indices import FIRST_ITEM
from seqrec.serving import sealed
from seqrec.serving.sorted_ids import SortedIds
from seqrec.storage import files, versions
from seqrec.tables.datasets import Dataset

MOST_GENRES = 200  # distinct ones: more mean that the delimiter is another, and cost a byte an item each
VECTOR_TABLES = ("item_vectors", sealed.EMBEDDINGS)  # of embed_items; of models and of lists
EMBEDDING = "embedding"

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class FactSources:
    """Where genres and vectors are.

    items       a file of items, or the folder of build_features, with the column `genres`; None: genres aren't measured
    id          its column of the ids; None: found by its name
    delimiter   between the genres of a column that is text
    vectors     a folder of embed_items, of a model or of lists, or a table or file of item_id and embedding; None: not measured
    """

    items: str | None = None
    id: str | None = None
    genres: str = "genres"
    delimiter: str = "|"
    vectors: str | None = None


def read_item_facts(dataset: Dataset, sources: FactSources) -> ItemFacts:
    """Act: the facts of a dataset's items; UserError for a table that can't be read, lacks a column, or has other items."""
    items = dataset.items.toArrow().combine_chunks().sort_by("item_idx")
    places = items["item_idx"].to_numpy() - FIRST_ITEM
    if not np.array_equal(places, np.arange(len(places))):
        raise UserError(f"{dataset.table('items')}: item_idx isn't 2 to {len(places) + 1}: run build_sequences again")
    ids = SortedIds.of(items["item_id"].combine_chunks())
    return ItemFacts(
        ids=ids,
        counts=items["count"].to_numpy(),
        genres=None if sources.items is None else _read_genres(ids, sources, sources.items),
        vectors=None if sources.vectors is None else _read_vectors(ids, sources.vectors),
    )


def _read_genres(ids: SortedIds, sources: FactSources, path: str) -> NDArray[np.bool_]:
    """Which genres (V, G) the items have."""
    file = read_item_file(path)
    name = named_column(file, sources.genres, option="items.genres")
    places, values = _matched(file, ids, choose_id(file, sources.id, option="items.id=COLUMN"), name)
    listed = [cell_values(value, sources.delimiter) for value in values.to_pylist()]
    genres = sorted({genre for one in listed for genre in one})
    if not genres:
        raise UserError(f"{path}: column {name} has no genre of any item of the dataset: name another by items.genres=COLUMN")
    if len(genres) > MOST_GENRES:
        longest = max(genres, key=len)
        raise UserError(
            f"{path}: column {name} has {len(genres):,} distinct genres, such as {longest[:60]!r}, and at most {MOST_GENRES} are "
            f"measured: is items.delimiter={sources.delimiter!r} right, and items.genres={sources.genres}?"
        )
    columns = {genre: column for column, genre in enumerate(genres)}
    marks = np.zeros((len(ids.ids), len(genres)), bool)
    for place, one in zip(places.tolist(), listed, strict=True):
        marks[place, [columns[genre] for genre in one]] = True
    _log_share("genres", path, marks.any(axis=1))
    return marks


def _read_vectors(ids: SortedIds, path: str) -> NDArray[np.float32]:
    """The vectors (V, D) of the items, of length 1; 0 for an item without one."""
    table = vector_table(path)
    file = read_item_file(table)
    column = named_column(file, EMBEDDING, option="vectors")
    if not holds_vectors(file.table[column].type):
        raise UserError(f"{table}: column {column} is {file.table[column].type}, expected lists of numbers: give other vectors")
    places, values = _matched(file, ids, choose_id(file, None, option="the names of its columns: rename it to item_id"), column)
    values = values.cast(pa.large_list(pa.float32()), safe=False)
    lengths = np.unique(values.combine_chunks().value_lengths().to_numpy(zero_copy_only=False))
    if len(lengths) != 1:
        raise UserError(
            f"{table}: vectors have {', '.join(map(str, lengths[:3]))} numbers: all must have as many; mend the table"
        )
    given = values.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(places), -1)
    if broken := int((~np.isfinite(given).all(axis=1)).sum()):
        raise UserError(f"{table}: {counted(broken, 'vector')} of {len(given):,} aren't finite: mend the table")
    sizes = np.linalg.norm(given, axis=1, keepdims=True)
    vectors = np.zeros((len(ids.ids), given.shape[1]), np.float32)
    vectors[places] = np.divide(given, sizes, out=np.zeros_like(given), where=sizes > 0)
    _log_share("vectors", table, vectors.any(axis=1))
    return vectors


def vector_table(path: str) -> str:
    """The path of the table of vectors in a folder of embed_items, of a model or of lists; any other path as it is."""
    exports = files.join(path, sealed.EXPORTS)
    folder = exports if files.exists(files.join(exports, versions.CURRENT)) else path.rstrip("/")
    if not files.exists(files.join(folder, versions.CURRENT)) and not versions.RUN_ID.match(folder.rpartition("/")[2]):
        return path
    version = versions.resolve(folder)
    tables = [files.join(version, name) for name in VECTOR_TABLES]
    there = [table for table in tables if files.exists(table)]
    if not there:
        raise UserError(
            f"{version} has none of the tables {', '.join(VECTOR_TABLES)}: give a folder of embed_items or of a model"
        )
    return there[0]


def _matched(file: ItemFile, ids: SortedIds, item_id: str, column: str) -> tuple[NDArray[np.int64], pa.ChunkedArray]:
    """The places among the ids of those rows of a file that are theirs and have a value, and the values of a column there."""
    if file.table[column].null_count == file.table.num_rows:
        raise UserError(
            f"{file.path}: column {column} has no value in {file.table.num_rows:,} rows: name another, or mend the file"
        )
    texts = [None if value is None else str(value).strip() for value in file.table[item_id].to_pylist()]
    fields = ItemFields(pa.table({"item_id": pa.array(texts, pa.string()), column: file.table[column]}), file.path)
    typed = fields.typed(pa.int64() if pa.types.is_int64(ids.ids.type) else pa.string()).drop_null()
    places = ids.find(typed["item_id"].combine_chunks()).cast(pa.int64()).fill_null(ABSENT).to_numpy()
    mine = np.flatnonzero(places != ABSENT)
    if not len(mine):
        ours, theirs = (", ".join(repr(one.as_py()) for one in some[:3]) for some in (ids.ids, typed["item_id"]))
        raise UserError(
            f"{file.path}: none of its {len(typed):,} ids ({theirs}, …) is of an item of the dataset ({ours}, …): give the "
            "table that belongs to the ratings, or the column of its ids"
        )
    return places[mine], typed[column].take(pa.array(mine))


def _log_share(what: str, path: str, having: NDArray[np.bool_]) -> None:
    """Log how many of the items have genres or vectors."""
    log.info("%s of %s of the dataset's %s: %s", what, f"{having.sum():,}", counted(len(having), "item"), path)
