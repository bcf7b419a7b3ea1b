"""The first rows of a file, and how it is written: what the configuration says is obeyed, and what it doesn't say is found."""

import csv
import gzip
import json
import re
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.dataset.roles import is_header
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tables.input_table import AUTO, InputTable, WantedTable

LINES = 200
MOST = 2**22  # bytes that are looked at
DELIMITERS = ("::", "\t", ",", ";", "|", " ")
ENCODINGS = {"utf-8": "UTF-8", "latin-1": "ISO-8859-1"}  # Python's name and Spark's
BOM = b"\xef\xbb\xbf"  # Excel begins a CSV in UTF-8 with it; Spark leaves it out
GZIP = b"\x1f\x8b"
NO_TEXT = {  # the first bytes of files that aren't text
    b"PK\x03\x04": "is a ZIP archive, as Excel workbooks are too: give the text that is in it, such as a CSV",
    b"BZh": "is compressed by bzip2: give it plain, or compressed by gzip",
    b"\x28\xb5\x2f\xfd": "is compressed by Zstandard: give it plain, or compressed by gzip",
    b"\xfd7zXZ": "is compressed by xz: give it plain, or compressed by gzip",
    b"\xff\xfe": "is UTF-16, which isn't read: save it as UTF-8",
    b"\xfe\xff": "is UTF-16, which isn't read: save it as UTF-8",
}


@dataclass(frozen=True, kw_only=True)
class Head:
    """How a file is read; the names of its columns (None without any), its first rows as text, and the columns that hold lists.

    For Parquet `rows` is empty: its columns have names. `reasons` says, for each key that was found, why (such as
    `delimiter`: "cuts all 200 lines into 4 fields").
    """

    table: InputTable
    names: list[str] | None
    rows: list[list[str]]
    lists: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def read_head(wanted: WantedTable) -> Head:
    """The head of a CSV, of JSON lines or of Parquet; of a folder the head of its first file with content.

    Raises UserError if the path doesn't exist, can't be read, or has none of these formats, whatever its bytes are.
    """
    if not files.is_local(wanted.path):
        raise UserError(
            f"{wanted.path} isn't on this machine: look into a copy of its first lines, or set {wanted.key}.format and .columns"
        )
    path = files.local_path(wanted.path)
    try:
        file = _first_file(path)
        with file.open("rb") as source:
            start = source.read(8)
        is_parquet = start.startswith(b"PAR1") if wanted.format == AUTO else wanted.format == "parquet"
        return _parquet(file, wanted) if is_parquet else _text(file, start, wanted)
    except (OSError, EOFError, zlib.error, ValueError) as error:  # a path with a NUL is a ValueError
        raise UserError(f"{path} can't be read: {' '.join(str(error).split()) or type(error).__name__}") from None


def settle_table(wanted: WantedTable) -> InputTable:
    """How a table is read; its file is only looked at where the configuration doesn't say it."""
    text = () if wanted.format == "parquet" else (wanted.encoding,)
    csv_only = (wanted.delimiter, wanted.header) if wanted.format == "csv" else ()
    if AUTO in (wanted.format, *text, *csv_only):
        return read_head(wanted).table
    return _settle(wanted, format=wanted.format)


def _first_file(path: Path) -> Path:
    """The file itself, or the first file with content in a folder."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{path}: {'neither a file nor a folder' if path.exists() else 'no such file'}")
    parts = sorted(part for part in path.rglob("*") if part.is_file() and not part.name.startswith((".", "_")))
    if not parts:
        raise UserError(f"{path} is an empty folder")
    return next((part for part in parts if part.stat().st_size), parts[0])


def _parquet(path: Path, wanted: WantedTable) -> Head:
    """The head of a Parquet file."""
    try:
        source = pq.ParquetFile(path)
        columns = source.schema_arrow
    except pa.ArrowException as error:
        raise UserError(f"{path} is a broken Parquet file: {' '.join(str(error).split())}") from None
    times = (source.schema.column(index) for index in range(len(source.schema)))
    nanoseconds = [column.path for column in times if "timeUnit=nanoseconds" in str(column.logical_type)]
    if nanoseconds:
        raise UserError(
            f"{path}: column {nanoseconds[0]!r} has times in nanoseconds, which Spark doesn't read: write microseconds, as "
            "df.to_parquet(…, coerce_timestamps='us', allow_truncated_timestamps=True) does"
        )
    lists = [column.name for column in columns if pa.types.is_list(column.type) or pa.types.is_large_list(column.type)]
    return Head(table=_settle(wanted, format="parquet"), names=columns.names, rows=[], lists=lists)


def _text(path: Path, start: bytes, wanted: WantedTable) -> Head:
    """The head of a file of text, which begins with these bytes."""
    for mark, remedy in NO_TEXT.items():
        if start.startswith(mark):
            raise UserError(f"{path} {remedy}")
    zipped = path.suffix == ".gz"
    if start and zipped != start.startswith(GZIP):
        raise UserError(
            f"{path} is named .gz but isn't compressed by gzip: give it another name"
            if zipped
            else f"{path} is compressed by gzip, which Spark knows by the name alone: let its name end in .gz"
        )
    lines, encoding = _lines(path, wanted.encoding)
    if not lines:
        raise UserError(f"{path} is empty")
    is_json = lines[0].lstrip().startswith("{") if wanted.format == AUTO else wanted.format == "json"
    if wanted.format == AUTO and lines[0].lstrip().startswith("["):
        raise UserError(f"{path} is a JSON array; give JSON lines: one object a line")
    read = _json_lines if is_json else _csv
    return read(lines, replace(wanted, encoding=encoding), path)


def _settle(wanted: WantedTable, *, format: str, delimiter: str = ",", header: bool = True) -> InputTable:
    """The table as it is read; of the found format, delimiter and header those count that the configuration doesn't say."""
    encoding = "UTF-8" if wanted.encoding == AUTO else wanted.encoding
    return InputTable(
        key=wanted.key,
        path=wanted.path,
        format=format if wanted.format == AUTO else wanted.format,
        delimiter=delimiter if wanted.delimiter == AUTO else wanted.delimiter,
        header=header if wanted.header == AUTO else wanted.header,
        names=wanted.names,
        encoding=encoding,
    )


def _json_lines(lines: list[str], wanted: WantedTable, path: Path) -> Head:
    """The head of JSON lines; its columns are the keys in order of appearance."""
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} begins like JSON lines, but a line isn't JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"{path} begins like JSON lines, but a line is no object: {line[:80]!r}")
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    lists = [name for name in names if any(isinstance(row.get(name), list) for row in rows)]
    cells = [[str(row.get(name, "")) for name in names] for row in rows]
    return Head(table=_settle(wanted, format="json"), names=names, rows=cells, lists=lists)


def _csv(lines: list[str], wanted: WantedTable, path: Path) -> Head:
    """The head of a CSV. Its delimiter cuts all lines into equally many fields; of several such, the one with the most fields."""
    tried = DELIMITERS if wanted.delimiter == AUTO else (wanted.delimiter,)
    tables = {delimiter: _split(lines, delimiter) for delimiter in tried}
    even = {delimiter: rows for delimiter, rows in tables.items() if rows and len({len(row) for row in rows}) == 1}
    cut = {delimiter: rows for delimiter, rows in even.items() if len(rows[0]) > 1}
    if not cut:
        named = ", ".join(repr(delimiter) for delimiter in tried)
        raise UserError(f"{path}: none of {named} cuts its lines into equal columns; the first is {lines[0][:80]!r}")
    delimiter = max(cut, key=lambda delimiter: len(cut[delimiter][0]))
    rows = cut[delimiter]
    header = is_header(rows[0], rows[1:]) if wanted.header == AUTO else wanted.header
    names = list(wanted.names) if wanted.names is not None else rows[0] if header else None
    table = _settle(wanted, format="csv", delimiter=delimiter, header=header)
    return Head(table=table, names=names, rows=rows[1:] if header else rows)


def _split(lines: list[str], delimiter: str) -> list[list[str]]:
    """The fields of each line; none where a field is longer than Python's csv reads."""
    if len(delimiter) > 1:
        return [line.split(delimiter) for line in lines]
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []


def _lines(path: Path, wanted: str) -> tuple[list[str], str]:
    """The first lines that aren't blank, without a byte order mark, and Spark's name of the encoding."""
    with cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as source:
        content = source.read(MOST).removeprefix(BOM)
    if len(content) >= MOST - len(BOM):
        content = content[: content.rfind(b"\n") + 1]
        if not content:
            raise UserError(f"{path}: its first line is longer than {MOST:,} bytes: give one rating or one user a line")
    encoding = next(name for name in ENCODINGS if _decodes(content, name)) if wanted == AUTO else wanted
    try:
        text = content.decode(encoding, errors="replace")
    except LookupError:
        raise UserError(
            f"{path}: {wanted!r} is no encoding: say UTF-8, ISO-8859-1 or another one of Python's and Java's"
        ) from None
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
    return lines[:LINES], ENCODINGS.get(encoding, encoding)


def _decodes(content: bytes, encoding: str) -> bool:
    """Whether bytes are text in an encoding."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
