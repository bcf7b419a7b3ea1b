"""A file of items as a table: CSV with any delimiter, JSON lines, Parquet, or the folder of build_features.

Nothing need be said about the file: its content says how it is written. Text stays text, so that an id such as 0195153448 keeps
its zeros; Parquet keeps its types. A file is in memory as a whole.
"""

import csv
import gzip
import io
import json
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.catalogue.item_roles import names_columns
from seqrec.errors import UserError
from seqrec.storage import files, versions

SAMPLE = 500  # lines by which the delimiter is chosen
DELIMITERS = ("::", "\t", ",", ";", "|")
EVEN = 0.95  # share of the lines that a delimiter cuts into the same number of fields
CATALOGUE = "item_catalogue"  # the table of items that build_features writes
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
NO_TEXT = {b"PK\x03\x04": "is a ZIP archive, as Excel workbooks are too", b"BZh": "is compressed by bzip2"}

Fields = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """What a file is of, the key that names it, its table in build_features' folder, and names that a header may hold."""

    rows: str = "items"
    key: str | None = None
    table: str = CATALOGUE
    header: Collection[str] = ()

    def named(self, path: str) -> str:
        """The file as messages name it, with the key if there is one."""
        return path if self.key is None else f"{self.key}={path}"


ITEMS = FileKind()


@dataclass(frozen=True, kw_only=True)
class ItemFile:
    """A file's table. Without a header the columns are named by their numbers, from 1."""

    path: str
    table: pa.Table
    header: bool
    remarks: tuple[str, ...] = ()  # how text was read, where that isn't plain UTF-8, and what was left out

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.table.column_names)


def read_item_file(path: str, kind: FileKind = ITEMS, *, lists: Collection[str] = ()) -> ItemFile:
    """The table in a file, or that of its kind in the folder of build_features; UserError if it can't be read as one.

    Of JSON lines, `lists` names the columns whose values may be lists, which become text in JSON. A remote file is copied into
    memory; a remote folder, to a temporary one.
    """
    if files.names(path) not in ([], [path.rsplit("/", 1)[-1]]):  # Hadoop lists a file as the one name in itself
        return ItemFile(path=path, table=_read_features(path, kind), header=True)
    named = kind.named(path)
    try:
        content = files.read_bytes(path)
    except FileNotFoundError:
        raise UserError(
            f"{named}: no such file; give a CSV, JSON lines or Parquet file of {kind.rows}, or the folder of build_features"
        ) from None
    if content.startswith(GZIP):
        content = _unzip(content, named)
    if content.startswith(PARQUET):
        return ItemFile(path=path, table=_parquet(content, named), header=True)
    for mark, words in NO_TEXT.items():
        if content.startswith(mark):
            raise UserError(f"{named} {words}: give the text that is in it, such as a CSV")
    text, remarks = _decode(content)
    if not text.strip():
        raise UserError(f"{named} is empty")
    file = _json_lines(text, named, lists) if text.lstrip().startswith("{") else _csv(text, named, kind)
    return replace(file, path=path, remarks=(*remarks, *file.remarks))


def _read_features(folder: str, kind: FileKind) -> pa.Table:
    """A table of a version of the features, the only table of another version, or any finished table in a folder."""
    name, table = folder.rstrip("/").rpartition("/")[2], folder.rstrip("/")
    if versions.CURRENT in files.names(folder) or versions.RUN_ID.match(name):
        version = versions.resolve(folder)
        table = files.join(version, kind.table)
        table = table if files.exists(table) else versions.only_table(version)
    with tempfile.TemporaryDirectory(prefix="seqrec-items-") as cache:
        parts = versions.fetch_table(table, Path(cache))
        if not parts:
            raise UserError(
                f"{kind.named(folder)} holds no Parquet files: give a file of {kind.rows}, or the folder of build_features"
            )
        return pa.concat_tables([pq.read_table(part) for part in parts])


def _unzip(content: bytes, path: str) -> bytes:
    """The content of a gzip file."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise UserError(f"{path} is a broken gzip file ({error}): copy it again") from None


def _parquet(content: bytes, path: str) -> pa.Table:
    """The table of a Parquet file."""
    try:
        return pq.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        raise UserError(f"{path} is a broken Parquet file ({' '.join(str(error).split())}): write it again") from None


def _decode(content: bytes) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and in words what isn't plain about it: UTF-16 by its mark, else UTF-8 or Latin-1.

    It is Latin-1 if most of its lines with other bytes than ASCII's aren't UTF-8; a few such lines among others are damaged.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace"), ("read as UTF-16",)
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        lines = [line for line in content.splitlines() if not line.isascii()]
    damaged = sum("\ufffd" in line.decode(errors="replace") for line in lines)
    if 2 * damaged >= len(lines):
        return content.decode("latin-1"), ("read as Latin-1",)
    return content.decode("utf-8-sig", errors="replace"), (f"{damaged:,} lines with bytes that aren't UTF-8",)


def _json_lines(text: str, path: str, lists: Collection[str]) -> ItemFile:
    """Objects, one a line; NaN and values that are lists or objects are left out, but lists in the columns named in `lists`."""
    rows, names = [], dict[str, None]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}: line {number} isn't JSON ({error}): give one object a line") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}: line {number} is no object: give one object a line")
        plain = {name: str(value) for name, value in row.items() if isinstance(value, str | int | float) and value == value}
        plain |= {name: json.dumps(row[name], ensure_ascii=False) for name in lists if isinstance(row.get(name), list)}
        names |= dict.fromkeys(plain)
        rows.append(plain)
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    return ItemFile(path=path, table=pa.table(columns), header=True)


def _csv(text: str, path: str, kind: FileKind) -> ItemFile:
    """A CSV, cut by the delimiter that cuts most of its lines into equally many fields; of several, into the most fields."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    lines = re.split(r"\r\n|\n|\r", text)
    sample = [line for line in lines[: SAMPLE + 1] if line.strip()][:SAMPLE]
    ways = [(delimiter, quoted) for delimiter in DELIMITERS for quoted in (False, True) if not (quoted and len(delimiter) > 1)]
    measured = {way: _evenness(_split(sample, *way)) for way in ways}
    best = max(measured, key=lambda way: measured[way])
    if measured[best][0] < EVEN:
        tried = ", ".join(map(repr, DELIMITERS))
        raise UserError(f"{path}: none of {tried} cuts its lines into equal columns; the first is {sample[0][:80]!r}")
    rows = [row for row in _split(lines if not best[1] else [text], *best) if row not in ([], [""])]
    width = _usual_width(rows)
    even = [row for row in rows if len(row) == width]
    header = names_columns(even[0], even[1:SAMPLE], kind.header)
    names = _distinct(even[0]) if header else [str(number + 1) for number in range(width)]
    if len(even) == header:
        raise UserError(f"{path} has a header, and no {kind.rows} below it")
    remarks = (f"{len(rows) - len(even):,} lines of another width are left out",) if len(even) < len(rows) else ()
    columns = zip(*even[1 if header else 0 :], strict=True)
    table = pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
    return ItemFile(path=path, table=table, header=header, remarks=remarks)


def _split(lines: Sequence[str], delimiter: str, quoted: bool) -> Fields:
    """The fields of lines, trimmed; where they are quoted, a field may hold delimiters and line ends."""
    if not quoted:
        return [[field.strip() for field in line.split(delimiter)] for line in lines if line.strip()]
    source = io.StringIO("\n".join(lines), newline="")
    return [[field.strip() for field in row] for row in csv.reader(source, delimiter=delimiter, skipinitialspace=True)]


def _evenness(rows: Fields) -> tuple[float, int, int]:
    """How well a way to cut fits, the better the greater: the share of rows of the usual width, the width, and no quotes left."""
    width = _usual_width(rows)
    share = sum(len(row) == width for row in rows) / max(1, len(rows)) if width > 1 else 0.0
    left = sum(len(field) > 1 and field[0] == field[-1] == '"' for row in rows for field in row)
    return round(share, 2), width if share >= EVEN else 0, -left


def _usual_width(rows: Fields) -> int:
    """The number of fields that most rows have."""
    widths = Counter(len(row) for row in rows if row)
    return widths.most_common(1)[0][0] if widths else 0


def _distinct(names: Sequence[str]) -> list[str]:
    """The names of a header; one that occurs again, or is empty, becomes the column's number.

    >>> _distinct(["id", "title", "", "id"])
    ['id', 'title', '3', '4']
    """
    return [name if name and names.index(name) == place else str(place + 1) for place, name in enumerate(names)]
