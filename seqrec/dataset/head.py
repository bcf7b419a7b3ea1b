"""The first rows of a local file of ratings, and how it is written."""

import csv
import gzip
import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.dataset.roles import is_header
from seqrec.errors import UserError

LINES = 200
DELIMITERS = ("::", "\t", ",", ";", "|", " ")
ENCODINGS = {"utf-8": "UTF-8", "latin-1": "ISO-8859-1"}  # Python's name and Spark's


@dataclass(frozen=True, kw_only=True)
class Head:
    """Settings that read the file, its column names (None without header), its first rows as text, the columns with lists."""

    settings: dict[str, str]
    names: list[str] | None
    rows: list[list[str]]
    lists: list[str] = field(default_factory=list)


def read_head(path: Path) -> Head:
    """The head of a CSV, of JSON lines or of Parquet, the last two also as a folder; UserError if it is none of them."""
    if path.is_dir():
        parts = sorted(part for part in path.rglob("*") if part.is_file() and not part.name.startswith((".", "_")))
        if not parts:
            raise UserError(f"{path} is an empty folder")
        path = parts[0]
    if not path.exists():
        raise UserError(f"{path}: no such file")
    with path.open("rb") as source:
        if source.read(4) == b"PAR1":
            return _parquet(path)
    lines, encoding = _lines(path)
    settings = {} if encoding == "UTF-8" else {"input.encoding": encoding}
    if not lines:
        raise UserError(f"{path} is empty")
    if lines[0].startswith("["):
        raise UserError(f"{path} is a JSON array; give JSON lines: one object a line")
    return _json_lines(lines, settings, path) if lines[0].startswith("{") else _csv(lines, settings, path)


def _parquet(path: Path) -> Head:
    source = pq.ParquetFile(path)
    lists = [
        column.name for column in source.schema_arrow if pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    ]
    rows = next(source.iter_batches(LINES), None)
    cells = [] if rows is None else [[str(cell) for cell in row.values()] for row in rows.to_pylist()]
    return Head(settings={"input.format": "parquet"}, names=source.schema_arrow.names, rows=cells, lists=lists)


def _json_lines(lines: list[str], settings: dict[str, str], path: Path) -> Head:
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError as error:
        raise UserError(f"{path} begins like JSON lines, but a line isn't JSON: {error}") from None
    names = list(dict.fromkeys(name for row in rows for name in row))
    lists = [name for name in names if any(isinstance(row.get(name), list) for row in rows)]
    cells = [[str(row.get(name, "")) for name in names] for row in rows]
    return Head(settings={"input.format": "json", **settings}, names=names, rows=cells, lists=lists)


def _csv(lines: list[str], settings: dict[str, str], path: Path) -> Head:
    """The delimiter is the one that cuts every line into the same number of fields, the most of them where several do."""
    tables = {delimiter: _split(lines, delimiter) for delimiter in DELIMITERS}
    even = {delimiter: rows for delimiter, rows in tables.items() if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1}
    if not even:
        tried = ", ".join(repr(delimiter) for delimiter in DELIMITERS)
        raise UserError(f"{path}: none of {tried} cuts its lines into equal columns; the first is {lines[0][:80]!r}")
    delimiter = max(even, key=lambda known: len(even[known][0]))
    rows = even[delimiter]
    header = is_header(rows[0], rows[1:])
    said = {"input.format": "csv", "input.delimiter": delimiter.replace("\t", "\\t"), "input.header": str(header).lower()}
    return Head(settings=said | settings, names=rows[0] if header else None, rows=rows[1:] if header else rows)


def _split(lines: list[str], delimiter: str) -> list[list[str]]:
    if len(delimiter) > 1:
        return [line.split(delimiter) for line in lines]
    return list(csv.reader(lines, delimiter=delimiter))


def _lines(path: Path) -> tuple[list[str], str]:
    """The first lines that aren't blank, and Spark's name of the encoding."""
    for encoding, name in ENCODINGS.items():
        opener = gzip.open if path.suffix == ".gz" else open
        try:
            with opener(path, "rt", encoding=encoding) as source:
                return [line.rstrip("\r\n") for line in islice(source, LINES) if line.strip()], name
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes any bytes")
