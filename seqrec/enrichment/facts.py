"""What a source says of an item, and the first source's word on each column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

LONGEST_LIST = 20  # values of a column that holds a list
LONGEST_VALUE = 200  # characters of one


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a source says of an item: None or () is nothing. `creators` are directors, authors, developers and the like."""

    title: str | None = None
    summary: str | None = None
    genres: tuple[str, ...] = ()
    year: int | None = None
    creators: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    url: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing that a text of the item could use."""
        return not any((self.summary, self.genres, self.year, self.creators, self.keywords))


COLUMNS = tuple(field.name for field in fields(Facts))
SOURCED = tuple(name for name in COLUMNS if name != "title")  # columns beside which the source stands


def merge_facts(found: Mapping[str, Facts], sources: Sequence[str]) -> dict[str, Any]:
    """Each column of the facts from the first of the sources that says it, and NAME_source, which source that is.

    >>> merged = merge_facts({"llm": Facts(year=1995, genres=("War",)), "steam": Facts(year=1996)}, ["steam", "llm"])
    >>> merged["year"], merged["year_source"], merged["genres"], merged["genres_source"], merged["summary_source"]
    (1996, 'steam', ('War',), 'llm', None)
    """
    row: dict[str, Any] = {}
    for name in COLUMNS:
        source = next((source for source in sources if source in found and getattr(found[source], name)), None)
        row[name] = getattr(found[source], name) if source else None
        if name in SOURCED:
            row[f"{name}_source"] = source
    return row


def one_line(text: Any) -> str | None:
    """A text without line ends and surplus blanks, and with ? for halves of letters; None for an empty one and for no text.

    >>> one_line(" a\\n b "), one_line(" "), one_line(None), one_line("x\\ud800")
    ('a b', None, None, 'x?')
    """
    if not isinstance(text, str):
        return None
    return " ".join(text.encode(errors="replace").decode().split()) or None


def shortened(text: str | None, *, most: int) -> str | None:
    """A text of at most so many characters, cut behind a sentence if one ends in the second half, else behind a word.

    >>> shortened("One is here. Two is there. Three", most=28), shortened("abc def ghi", most=9), shortened("abc", most=9)
    ('One is here. Two is there.', 'abc def…', 'abc')
    """
    if text is None or len(text) <= most:
        return text
    end = text.rfind(". ", most // 2, most) + 1
    return text[:end] if end else f"{text[: most - 1].rpartition(' ')[0] or text[: most - 1]}…"


def distinct_texts(values: Any) -> tuple[str, ...]:
    """The distinct texts of a list, on one line each, at most LONGEST_LIST of them; () for what is no list.

    >>> distinct_texts([" War", "War", None, 3, "Drama"]), distinct_texts("War")
    (('War', 'Drama'), ())
    """
    texts = (one_line(value) for value in values) if isinstance(values, list | tuple) else ()
    kept = (text for text in texts if text and len(text) <= LONGEST_VALUE)
    return tuple(dict.fromkeys(kept))[:LONGEST_LIST]
