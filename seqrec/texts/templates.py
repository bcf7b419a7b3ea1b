"""The template of items' texts: columns in braces, and what is written around them.

    template = parse_template("{title} ({year}). Genres: {genres}")
    template.columns                # ('title', 'year', 'genres')
    template.text({...})            # a column: 'Heat (1995). Genres: Crime', 'Heat. Genres: Crime', 'Genres: Crime'

What stands between two columns is cut into three: the end of the left one, a separator, the beginning of the right one. A column
that is missing takes its end and its beginning with it, and separators stand only between two parts that are there. Where the
text has a point, comma or the like followed by a blank, that is the separator; else blanks are, and closing brackets before them
belong to the left.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from seqrec.errors import UserError

SEPARATOR = re.compile(r"\s*[.,;!?/|·–—-]+\s+|\s*\n\s*|\s*[|/,;]\s*|^\s*:\s*$")
CLOSING = re.compile(r"([^\w\s(\[{<«“‘#]*)(\s*)")


class TextPart(NamedTuple):
    """A column of a template: the separator before it, and what belongs to it before and after its value."""

    separator: str
    before: str
    column: str
    after: str


@dataclass(frozen=True)
class Template:
    """The parts of a template, in order."""

    parts: tuple[TextPart, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, each once."""
        return tuple(dict.fromkeys(part.column for part in self.parts))

    def text(self, values: Mapping[str, Column]) -> Column:
        """The text of an item, whose values by column are text; null where all of them are null."""
        pieces, begun = [], F.lit(False)
        for part in self.parts:
            value = values[part.column]
            piece = F.concat(F.lit(part.before), value, F.lit(part.after))
            pieces.append(F.when(value.isNull(), "").when(begun, F.concat(F.lit(part.separator), piece)).otherwise(piece))
            begun = begun | value.isNotNull()
        return F.when(begun, F.concat(*pieces))


def parse_template(template: str) -> Template:
    """The parts of a template; UserError if it names no column, or has a brace without its partner.

    >>> parse_template("{title} ({year}). Genres: {genres}").parts[1:]
    (TextPart(separator=' ', before='(', column='year', after=')'), \
TextPart(separator='. ', before='Genres: ', column='genres', after=''))
    """
    try:
        fields = [(literal, _column_name(*rest)) for literal, *rest in Formatter().parse(template)]
    except ValueError as error:
        raise UserError(f"template={template!r}: {error}; columns stand in braces, such as {{title}}, a brace is {{{{") from None
    literals = _joined([literal for literal, _ in fields], [column for _, column in fields])
    columns = [column for _, column in fields if column is not None]
    if not columns or "" in columns:
        raise UserError(f"template={template!r} names no column: write one in braces, such as {{title}}. Genres: {{genres}}")
    ends, separators, beginnings = [], [""], [literals[0]]
    for literal in literals[1 : len(columns)]:
        end, separator, beginning = cut_between(literal)
        ends.append(end)
        separators.append(separator)
        beginnings.append(beginning)
    parts = zip(separators, beginnings, columns, [*ends, literals[len(columns)]], strict=True)
    return Template(tuple(TextPart(*part) for part in parts))


def cut_between(literal: str) -> tuple[str, str, str]:
    """What stands between two columns: the end of the left one, the separator, and the beginning of the right one.

    >>> cut_between("). Genres: "), cut_between(" (of: "), cut_between(" min, "), cut_between(" by "), cut_between('" (')
    ((')', '. ', 'Genres: '), ('', ' ', '(of: '), (' min', ', ', ''), ('', ' ', 'by '), ('"', ' ', '('))
    """
    if found := SEPARATOR.search(literal):
        return literal[: found.start()], found[0], literal[found.end() :]
    closing = CLOSING.match(literal)
    assert closing is not None  # it matches an empty text
    return closing[1], closing[2], literal[closing.end() :]


def _column_name(name: str | None, spec: str | None, conversion: str | None) -> str | None:
    """The name in braces as it was written: colons and exclamation marks are part of it."""
    if name is None:
        return None
    return name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")


def _joined(literals: list[str], columns: list[str | None]) -> list[str]:
    """The text before each column and after the last one; a doubled brace ends a literal without a column."""
    joined = [""]
    for literal, column in zip(literals, columns, strict=True):
        joined[-1] += literal
        if column is not None:
            joined.append("")
    return joined
