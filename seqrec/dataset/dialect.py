"""How lines are cut into cells: the delimiter, the quote and the escape of a CSV, by how many lines get equally many cells.

A line in many may differ, since files have damaged lines: they are counted when the file is read.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from seqrec.errors import UserError
from seqrec.tables.input_table import AUTO, NULL_VALUES, InputTable, WantedTable

LINES = 200  # rows that are looked at
MOST_LINES = 2000
DELIMITERS = ("::", "\t", ",", ";", "|", " ")
LEAST_SHARE = 0.9  # of the lines that have equally many cells
CERTAIN = ("::", "\t")  # where one of them cuts the lines, no other is the delimiter
UNUSED = "\x1f"  # stands for a delimiter of several characters, which Python's csv doesn't take
NUMBER = re.compile(r"-?\d+([.,]\d+)?")
THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How lines are cut; the fields are those of `InputTable`."""

    delimiter: str
    quote: str | None = '"'
    escape: str = '"'
    multiline: bool = False


@dataclass(frozen=True, kw_only=True)
class CutLines:
    """The first lines, cut: those that have as many cells as most, how many have another number, and the cells of the first.

    A header that lacks only the name of a last, empty column gets it.
    """

    dialect: Dialect
    rows: list[list[str]]
    differing: int
    top: list[str]
    reasons: dict[str, str]

    @property
    def share(self) -> float:
        """The share of lines that have as many cells as most."""
        return len(self.rows) / (len(self.rows) + self.differing) if self.rows else 0.0

    @property
    def is_equal(self) -> bool:
        """Whether nearly all lines have as many cells, several, and the first is among them."""
        return self.width > 1 and len(self.top) == self.width and self.share >= LEAST_SHARE

    @property
    def width(self) -> int:
        """The cells of most lines."""
        return len(self.rows[0]) if self.rows else 0


def cut_lines(text: str, wanted: WantedTable, *, path: str) -> CutLines:
    """The first lines of a text, cut by the wanted dialect; what isn't wanted is found.

    Of the delimiters that cut nearly all lines equally, a certain one counts, else the one with the most cells; a space only
    where no other does. Raises UserError if none cuts them. A wanted delimiter is obeyed, whatever it does, unless the first line
    has another number of cells than the others, and the columns have no wanted names.
    """
    tried = DELIMITERS if wanted.delimiter == AUTO else (wanted.delimiter,)
    cuts = [_best_quotes(text, delimiter, wanted) for delimiter in tried]
    if wanted.delimiter != AUTO and (
        wanted.names is not None or len(cuts[0].top) == cuts[0].width or cuts[0].share < LEAST_SHARE
    ):
        return cuts[0]
    equal = [cut for cut in cuts if cut.is_equal]
    if not equal:
        raise _uneven(cuts, text, path)
    chosen = next((cut for cut in equal if cut.dialect.delimiter in CERTAIN), None)
    if chosen is None:
        marks = [cut for cut in equal if cut.dialect.delimiter != " "]
        chosen = max(marks or equal, key=lambda cut: cut.width)
    return replace(chosen, reasons={"delimiter": _say_cut(chosen), **chosen.reasons})


def first_part(text: str) -> str:
    """The first MOST_LINES lines of a text, which are enough for LINES rows, also of cells with line ends."""
    ends = islice(re.finditer(r"\r\n|\n|\r", text), MOST_LINES - 1, None)
    last = next(ends, None)
    return text if last is None else text[: last.end()]


def text_lines(text: str) -> list[str]:
    """The first LINES lines that aren't blank."""
    return list(islice((line for line in re.split(r"\r\n|\n|\r", text) if line.strip()), LINES))


def column_names(cells: Sequence[str]) -> list[str]:
    """The names of columns from a header's cells, as Spark makes them: one without a name is _cN, repeated ones get their number.

    >>> column_names([" user", "item", "", "Item"])
    ['user', 'item1', '_c2', 'Item3']
    """
    names = [cell.strip() for cell in cells]
    counts = Counter(name.lower() for name in names)
    return [
        f"_c{place}" if not name else f"{name}{place}" if counts[name.lower()] > 1 else name for place, name in enumerate(names)
    ]


def header_cells(line: str, table: InputTable) -> list[str]:
    """The cells of a table's first line, whose letters are its bytes."""
    content = line.encode("ISO-8859-1").removeprefix(codecs.BOM_UTF8)
    text = content.decode(table.encoding, errors="replace").removeprefix("\ufeff")
    dialect = Dialect(delimiter=table.delimiter, quote=table.quote, escape=table.escape)
    return next(_rows(text, dialect), [])


def decimal_mark(rows: Sequence[Sequence[str]], delimiter: str) -> tuple[str, dict[str, str]]:
    """The mark before decimals, a comma where a column has numbers such as 3,5 and no thousands; and the reason then."""
    for cells in zip(*rows, strict=True) if delimiter != "," else ():
        values = [cell.strip() for cell in cells if cell.strip() not in NULL_VALUES]
        numbers = [value for value in values if NUMBER.fullmatch(value)]
        commas = [number for number in numbers if "," in number]
        if commas and len(numbers) >= LEAST_SHARE * len(values) and not all(map(THOUSANDS.fullmatch, commas)):
            return ",", {"decimal": f"a column has numbers such as {commas[0]}"}
    return ".", {}


def _best_quotes(text: str, delimiter: str, wanted: WantedTable) -> CutLines:
    """The lines cut at a delimiter, by the quote and escape that make most lines equal, then most cells; of such, the first."""
    cuts = [_cut(text, dialect) for dialect in _dialects(text, delimiter, wanted)]
    best = max(cuts, key=lambda cut: (cut.share, cut.width) if len(cut.top) == cut.width else (0.0, 0))
    quoted, reasons = cuts[0], dict[str, str]()
    if best.dialect != quoted.dialect:
        without = (
            f"with quote {quoted.dialect.quote!r} and escape {quoted.dialect.escape!r}, {quoted.differing} lines differ from most"
        )
        changed = [
            name for name in ("quote", "escape", "multiline") if getattr(best.dialect, name) != getattr(quoted.dialect, name)
        ]
        reasons = dict.fromkeys(changed, f"{without}; so, {best.differing}")
    return replace(best, reasons=reasons)


def _dialects(text: str, delimiter: str, wanted: WantedTable) -> Iterator[Dialect]:
    """The dialects that are tried, the usual ones first. A quote or an escape that isn't in the text isn't tried."""
    wrapped = {mark: _is_wrapping(text, delimiter, mark) for mark in "\"'"}
    quotes: list[str | None] = [wanted.quote]
    if wanted.quote == AUTO:
        quotes = ["'"] if wrapped["'"] and not wrapped['"'] else ['"']
        quotes += [None] if '"' in text and not wrapped['"'] and quotes == ['"'] else []
    for multiline in [False, True] if wanted.multiline == AUTO else [bool(wanted.multiline)]:
        for quote in quotes:
            escapes = (
                [quote or '"', *(["\\"] if quote and f"\\{quote}" in text else [])] if wanted.escape == AUTO else [wanted.escape]
            )
            for escape in escapes:
                if not multiline or wanted.multiline != AUTO or (quote is not None and quote in text):
                    yield Dialect(delimiter=delimiter, quote=quote, escape=escape, multiline=multiline)


def _is_wrapping(text: str, delimiter: str, mark: str) -> bool:
    """Whether at least every other of the first lines has a cell that begins and ends with a mark."""
    lines, end = text_lines(text), re.escape(delimiter)
    whole = re.compile(f"(^|{end})\\s*{mark}([^{mark}\\\\]|{mark}{mark}|\\\\.)*{mark}\\s*($|{end})")
    return 2 * sum(1 for line in lines if whole.search(line)) > len(lines)


def _cut(text: str, dialect: Dialect) -> CutLines:
    """The first lines cut by a dialect; none where Python's csv can't."""
    rows = list(islice(_rows(text, dialect), LINES))
    if dialect.multiline and len(rows) > 1 and len(rows) < LINES:
        rows = rows[:-1] if text.count(dialect.quote or "\0") % 2 else rows
    widths = Counter(map(len, rows))
    width = max(widths, key=lambda width: (widths[width], width), default=0)
    equal = [row for row in rows if len(row) == width]
    if rows and len(rows[0]) == width - 1 and not any(row[-1] for row in equal):
        rows[0].append("")
        equal = [rows[0], *equal]
    return CutLines(dialect=dialect, rows=equal, differing=len(rows) - len(equal), top=rows[0] if rows else [], reasons={})


def _rows(text: str, dialect: Dialect) -> Iterator[list[str]]:
    """The lines of a text, cut; with multiline a quoted cell may go on in the next line."""
    mark = dialect.delimiter if len(dialect.delimiter) == 1 else UNUSED
    if dialect.quote is None:
        yield from (line.split(dialect.delimiter) for line in text_lines(text))
        return
    text = text if mark == dialect.delimiter else text.replace(dialect.delimiter, mark)
    escape = None if dialect.escape == dialect.quote else dialect.escape
    lines: list[Iterable[str]] = [[line] for line in text_lines(text)]
    for source in [io.StringIO(text, newline="")] if dialect.multiline else lines:
        try:
            rows = csv.reader(source, delimiter=mark, quotechar=dialect.quote, doublequote=escape is None, escapechar=escape)
            yield from ([cell.replace(mark, dialect.delimiter) for cell in row] for row in rows if row)
        except csv.Error:
            yield []


def _uneven(cuts: Sequence[CutLines], text: str, path: str) -> UserError:
    """The error of a text whose lines no delimiter cuts into equally many cells."""
    headed = next((cut for cut in cuts if cut.width > 1 and cut.share >= LEAST_SHARE), None)
    if headed is not None:
        return UserError(
            f"{path}: lines have {headed.width} cells between {headed.dialect.delimiter!r}, but the first has {len(headed.top)}: "
            "remove lines above it, or name all columns by input.names=[…], and set input.delimiter and .header"
        )
    named, first = ", ".join(repr(cut.dialect.delimiter) for cut in cuts), next(iter(text_lines(text)), "")
    return UserError(f"{path}: none of {named} cuts its lines into equal columns; the first is {first[:80]!r}")


def _say_cut(cut: CutLines) -> str:
    """Why a delimiter counts."""
    lines = len(cut.rows) + cut.differing
    return f"cuts {'all ' if not cut.differing else f'{len(cut.rows)} of '}{lines} first lines into {cut.width} cells"
