"""The keys of JSON, found without reading all of it.

Of JSON lines the first HEAD are looked at, and pieces of the files that lie evenly in them, for the keys that only later lines or
later files have. Of arrays these are the first objects of each file. A key that is in none of these places exists only if the
configuration names it. For 0.6 GB it takes 0.4 s on 2 cores.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.dataset.content import decode_start, first_content, packing_of
from seqrec.dataset.first_files import input_files
from seqrec.dataset.json_head import JsonRows, json_rows, parse_object
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.storage.path_files import InputFile
from seqrec.tables import io
from seqrec.tables.input_table import InputTable

log = logging.getLogger("seqrec")

HEAD = 1000  # lines, or objects of an array, that are looked at for keys
PIECES = 128  # of all files together
PIECE = 2**16  # bytes
THREADS = 16


class HeadKeys(NamedTuple):
    """The keys of JSON in the order of their appearance, those that hold lists, and of lists of objects the keys of these."""

    names: list[str]
    lists: list[str]
    fields: dict[str, list[str]]


def json_keys(spark: SparkSession, where: str, table: InputTable) -> HeadKeys:
    """Act: the keys of the places that are looked at; what doesn't parse has none."""
    filled = [file for file in input_files(table.path) if file.size]
    last = max(len(filled) - 1, 1)
    chosen = filled if len(filled) <= PIECES else [filled[place * last // (PIECES - 1)] for place in range(PIECES)]
    if table.multiline:
        rows = _array_rows(chosen, table.encoding)
    else:
        text = io.reader(spark, where).option("encoding", table.encoding).text(where)
        lines = [row[0] for row in text.limit(HEAD).collect()]
        with ThreadPoolExecutor(THREADS) as threads:
            read = partial(_some_lines, encoding=table.encoding, pieces=PIECES // max(len(chosen), 1))
            lines += [line for some in threads.map(read, chosen) for line in some]
        parsed = (parse_object(line) for line in lines)
        rows = [row for row in parsed if isinstance(row, dict)]
    found = JsonRows(rows, False, 0)
    return _one_spelling(HeadKeys(found.names, found.lists, found.fields), table)


def _one_spelling(keys: HeadKeys, table: InputTable) -> HeadKeys:
    """The keys without those that only differ from an earlier one in capital letters, which Spark can't tell apart."""
    first: dict[str, str] = {}
    for name in keys.names:
        first.setdefault(name.lower(), name)
    kept = set(first.values())
    for name in keys.names:
        if name not in kept:
            log.warning(
                "%s: the key %s is there as %s too, which isn't read: write it one way", table.place, first[name.lower()], name
            )
    return HeadKeys(
        [name for name in keys.names if name in kept],
        [name for name in keys.lists if name in kept],
        {name: fields for name, fields in keys.fields.items() if name in kept},
    )


def keys_with_values(raw: DataFrame, names: Sequence[str]) -> list[str]:
    """Act: those of these columns that have a value in some row; it reads up to the first one."""
    return [name for name in names if raw.where(io.column(name).isNotNull()).select(F.lit(1)).head(1)]


def _some_lines(file: InputFile, *, encoding: str, pieces: int) -> list[str]:
    """The lines that are whole in so many pieces of a file, evenly from its beginning to its end; of a packed one in one."""
    packed = packing_of(files.read_part(file.path, 0, 8)) is not None
    number = 1 if packed else min(pieces, -(-file.size // PIECE))
    starts = [place * max(file.size - PIECE, 0) // max(number - 1, 1) for place in range(number)]
    lines: list[str] = []
    for start in starts:
        content = _beginning(file) if packed else files.read_part(file.path, start, PIECE)
        cut = decode_start(content, encoding, file.path, whole=True).split("\n")
        lines += cut[1 if start else 0 : None if start + PIECE >= file.size and not packed else -1]
    return lines


def _array_rows(chosen: Sequence[InputFile], encoding: str) -> list[dict[str, Any]]:
    """The first objects in the arrays of these files. Raises UserError if the first one is no array of objects."""
    rows: list[dict[str, Any]] = []
    for number, file in enumerate(chosen):
        content = _beginning(file) if number else first_content(file.path, member=None)
        try:
            rows += json_rows(decode_start(content, encoding, file.path, whole=True), file.path, most=HEAD).rows
        except UserError:  # of a later file: Spark says what it can't read, and its first object may be longer
            if not number:
                raise
    return rows


def _beginning(file: InputFile) -> bytes:
    """The first bytes of a file, unpacked."""
    is_packed = packing_of(files.read_part(file.path, 0, 8)) is not None
    return first_content(file.path, member=None)[:PIECE] if is_packed else files.read_part(file.path, 0, PIECE)
