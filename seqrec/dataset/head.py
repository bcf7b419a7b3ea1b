"""The first rows of a table, and how it is written: what the configuration says is obeyed, and what it doesn't say is found."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, StructType

from seqrec.dataset.content import MOST, RangedFile, decode_start, encoding_of, first_content
from seqrec.dataset.dialect import LEAST_SHARE, LINES, CutLines, column_names, cut_lines, decimal_mark, first_part, text_lines
from seqrec.dataset.first_files import first_file
from seqrec.dataset.json_head import json_rows, text_of
from seqrec.dataset.roles import is_header
from seqrec.dataset.spark_tables import SPARK_TABLES, open_spark_table, table_format
from seqrec.errors import UserError
from seqrec.storage import files, versions
from seqrec.storage.path_files import InputFile
from seqrec.tables.input_table import AUTO, InputTable, WantedTable

LIST_COLUMNS = ("user_id", "items")
BLOCK_COLUMNS = ("item_id", "user_id", "rating", "timestamp")
BLOCK = re.compile(r"\s*([^\s,;|:]+)\s*:\s*")  # the line above a block


@dataclass(frozen=True, kw_only=True)
class Head:
    """How a table is read; the names of its columns (None without any), its first rows as text, and the columns that hold lists.

    rows      of CSV only those that have as many cells as most; null is an empty text, a list is JSON
    fields    of each column that holds lists of objects, the names of their fields
    reasons   for each key that was found, why, such as `delimiter`: "cuts all 200 first lines into 4 cells"
    """

    table: InputTable
    names: list[str] | None
    rows: list[list[str]]
    lists: list[str] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def read_head(wanted: WantedTable) -> Head:
    """The head of a table; of a folder or a pattern the head of its first file with content.

    Raises UserError if the path doesn't exist, can't be read, or has none of the formats, whatever its bytes are.
    """
    if wanted.format == AUTO and (kind := table_format(wanted.path)):
        wanted = replace(wanted, format=kind)
    if wanted.format in SPARK_TABLES:
        return _spark_table(wanted)
    file = _first_file(wanted)
    start = files.read_part(file.path, 0, 8)
    is_parquet = start.startswith(b"PAR1") if wanted.format == AUTO else wanted.format == "parquet"
    return _parquet(file, wanted) if is_parquet else _text(file, wanted)


def settle_table(wanted: WantedTable) -> InputTable:
    """How a table is read; its file is only looked at where the configuration doesn't say it.

    Of a versioned folder, such as that of enrich_items, it is the table of the current version (see `versions.only_table`).
    Raises UserError for a path without files, and one with files that Spark would leave out.
    """
    wanted = wanted if wanted.format == "table" else replace(wanted, path=versions.only_table(wanted.path))
    if not wanted.is_settled:
        return read_head(wanted).table
    if wanted.format not in SPARK_TABLES:
        _first_file(wanted)
    return wanted.settled(_plain(wanted))


def _first_file(wanted: WantedTable) -> InputFile:
    """The first file of a table with content; UserError, with the key, if the path has none, or some that Spark leaves out."""
    try:
        return first_file(wanted.path)
    except UserError as error:
        raise UserError(f"{wanted.key}.path: {error}") from None


def _plain(wanted: WantedTable) -> InputTable:
    """A table of which nothing is found."""
    return InputTable(key=wanted.key, path=wanted.path)


def _spark_table(wanted: WantedTable) -> Head:
    """The head of a table that Spark reads by itself, in the session of this process."""
    spark, table = SparkSession.getActiveSession(), wanted.settled(_plain(wanted))
    if spark is None:
        raise UserError(f"{wanted.path} is a table of Spark's: it is only looked at in a job")
    frame = open_spark_table(spark, table)
    rows = [tuple(row) for row in frame.limit(LINES).collect()]
    arrays = {column.name: column.dataType.elementType for column in frame.schema if isinstance(column.dataType, ArrayType)}
    inner = {name: kind.fieldNames() for name, kind in arrays.items() if isinstance(kind, StructType)}
    cells = [[text_of(value) for value in row] for row in rows]
    reasons = {"format": f"it is a table of {wanted.format.capitalize()}"} if wanted.format != "table" else {}
    return Head(table=table, names=frame.columns, rows=cells, lists=list(arrays), fields=inner, reasons=reasons)


def _parquet(file: InputFile, wanted: WantedTable) -> Head:
    """The head of a Parquet file."""
    try:
        source = pq.ParquetFile(pa.PythonFile(RangedFile(file.path), mode="r"))
        columns = source.schema_arrow
        batch = next(source.iter_batches(batch_size=LINES), None)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file.path} is a broken Parquet file: {' '.join(str(error).split())}") from None
    kinds = {column.name: column.type for column in columns}
    lists = [name for name, kind in kinds.items() if pa.types.is_list(kind) or pa.types.is_large_list(kind)]
    elements = {name: kinds[name].value_type for name in lists}
    inner = {name: [part.name for part in kind] for name, kind in elements.items() if pa.types.is_struct(kind)}
    rows = [] if batch is None else [list(row.values()) for row in batch.to_pylist()]
    cells = [[text_of(value) for value in [*row, *file.partitions.values()]] for row in rows]
    return Head(
        table=wanted.settled(replace(_plain(wanted), format="parquet")),
        names=[*columns.names, *file.partitions],
        rows=cells,
        lists=lists,
        fields=inner,
        reasons={"format": "it begins like Parquet"},
    )


def _text(file: InputFile, wanted: WantedTable) -> Head:
    """The head of a file of text."""
    content = first_content(file.path, member=wanted.member)
    whole = len(content) < MOST
    encoding, why = encoding_of(content, whole=whole)
    if not encoding.startswith("UTF-16") and encoding != "UTF-32" and content.count(0) * 1000 > len(content):
        raise UserError(f"{file.path} is no text: many of its bytes are 0; give CSV, JSON or Parquet")
    decoded = decode_start(content, encoding if wanted.encoding == AUTO else wanted.encoding, file.path, whole=whole)
    text = first_part(decoded)
    lines = text_lines(text)
    if not lines:
        raise UserError(f"{file.path} is empty")
    form = wanted.format
    if form == AUTO:
        form = "json" if lines[0].lstrip()[:1] in ("{", "[") else "blocks" if BLOCK.fullmatch(lines[0]) else AUTO
    wanted = replace(wanted, format=form, encoding=encoding if wanted.encoding == AUTO else wanted.encoding)
    read = {"json": _json, "blocks": _blocks, "lists": _lists}.get(form, _csv)
    head = read(text, wanted, file)
    return head if encoding == "UTF-8" else replace(head, reasons={"encoding": why, **head.reasons})


def _json(text: str, wanted: WantedTable, file: InputFile) -> Head:
    """The head of JSON; its columns are the keys in order of appearance."""
    found = json_rows(text, file.path)
    cells = [[*row, *file.partitions.values()] for row in found.cells]
    reasons = {"format": "it begins like JSON"} | ({"multiline": "it is an array"} if found.array else {})
    return Head(
        table=wanted.settled(replace(_plain(wanted), multiline=found.array)),
        names=[*found.names, *file.partitions],
        rows=cells,
        lists=found.lists,
        fields=found.fields,
        reasons=reasons,
    )


def _csv(text: str, wanted: WantedTable, file: InputFile) -> Head:
    """The head of a CSV; of a text that only its first cells and one delimiter make a table, that of `_lists`."""
    try:
        cut = cut_lines(text, wanted, path=file.path)
    except UserError:
        if wanted.format == AUTO and (delimiter := _list_delimiter(text)):
            return _lists(text, replace(wanted, format="lists", delimiter=delimiter), file)
        raise
    header, why = _has_header(cut, wanted)
    names = list(wanted.names) if wanted.names is not None else column_names(cut.top) if header and cut.top else None
    rows = cut.rows[1:] if header and len(cut.top) == cut.width else cut.rows
    decimal, why_decimal = decimal_mark(rows, cut.dialect.delimiter)
    dialect = cut.dialect
    found = replace(
        _plain(wanted),
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        escape=dialect.escape,
        multiline=dialect.multiline,
        header=header,
        decimal=decimal,
    )
    table = replace(wanted, format="csv").settled(found)
    if names is not None and header and "" in (cell.strip() for cell in cut.top):
        table = replace(table, names=names)  # else Spark would take the number of columns from the header's cells
    rows = [[*row, *file.partitions.values()] for row in rows] if names is not None else rows
    names = names if names is None else [*names, *file.partitions]
    return Head(table=table, names=names, rows=rows, reasons={**cut.reasons, **why, **why_decimal})


def _has_header(cut: CutLines, wanted: WantedTable) -> tuple[bool, dict[str, str]]:
    """Whether the first line names the columns, and why, unless the configuration says it."""
    if wanted.header != AUTO or not cut.rows:
        return wanted.header is True, {}
    if len(cut.top) != cut.width:
        return True, {"header": "the first line has another number of cells than the others"}
    header = is_header(cut.rows[0], cut.rows[1:])
    return header, {"header": "the first line names the columns" if header else "the first line has values, as the others"}


def _blocks(text: str, wanted: WantedTable, file: InputFile) -> Head:
    """The head of lines of ratings below lines `ITEM:`; a row begins with its item."""
    lines = text_lines(text)
    below = [line for line in lines if not BLOCK.fullmatch(line)]
    cut = cut_lines("\n".join(below), replace(wanted, quote=None, escape='"', multiline=False), path=file.path)
    names = list(wanted.names) if wanted.names is not None else list(BLOCK_COLUMNS[: cut.width + 1])
    rows, item = [], ""
    for line in lines:
        if block := BLOCK.fullmatch(line):
            item = block[1]
        elif len(cells := line.split(cut.dialect.delimiter)) == cut.width:
            rows.append([item, *cells])
    table = wanted.settled(replace(_plain(wanted), delimiter=cut.dialect.delimiter, quote=None, names=names))
    reasons = {"format": f"lines such as {lines[0]!r} stand above lines of {cut.width} cells", **cut.reasons}
    return Head(table=table, names=names, rows=rows, reasons=reasons)


def _lists(text: str, wanted: WantedTable, file: InputFile) -> Head:
    """The head of lines of a user and its items, with one delimiter throughout."""
    delimiter = (_list_delimiter(text) or " ") if wanted.delimiter == AUTO else wanted.delimiter
    header = False if wanted.header == AUTO else wanted.header
    names = list(wanted.names) if wanted.names is not None else list(LIST_COLUMNS)
    rows = [line.strip().split(delimiter, 1) for line in text_lines(text)[int(header) :]]
    cells = [[row[0], "".join(row[1:]), *file.partitions.values()] for row in rows]
    table = wanted.settled(replace(_plain(wanted), delimiter=delimiter, header=header, names=names))
    reasons = {"format": f"between {delimiter!r} its lines have different numbers of cells, of which no first one repeats"}
    return Head(table=table, names=[*names, *file.partitions], rows=cells, lists=[names[-1]], reasons=reasons)


def _list_delimiter(text: str) -> str | None:
    """The delimiter of lines of a user and its items: nearly all have it, their lengths differ, and no first cell repeats."""
    lines = text_lines(text)
    for delimiter in ("\t", ",", ";", "|", " "):
        rows = [line.strip().split(delimiter) for line in lines]
        long = [row for row in rows if len(row) > 1]
        firsts: Sequence[str] = [row[0] for row in long]
        whole = all(cell.strip() and " " not in cell.strip() for row in long for cell in row)
        if len(lines) > 2 and len(long) >= LEAST_SHARE * len(lines) and len(set(firsts)) == len(firsts) and whole:
            return delimiter if len(Counter(map(len, long))) > 1 else None
    return None
