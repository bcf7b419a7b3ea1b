"""What the values of a column look like: numbers, times, lists, and how many differ. From a sample of rows, as text."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from seqrec.dataset.time_formats import ISO, date_patterns

ENOUGH = 20  # rows: in so many an id is expected to repeat
MOST = 0.9  # share of values that has to look alike: a few may be wrong
LOOKED_AT = 2000  # values of a column whose form is looked at
MISSING = {"", "na", "n/a", "nan", "null", "none", r"\n"}
NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")
ID = r"['\"]?[\w-]*\d[\w-]*['\"]?"  # ids have digits, words of a title have none
LIST = re.compile(rf"\s*(\[.*|[({{]?{ID}([\s,;|]+{ID})+.*)", re.DOTALL)
START = 100  # characters of a cell by which it is taken for a list
EARLIEST = 788918400  # 1995: no ratings on the web are older
LATEST = 2**31  # 2038: times are often kept in 32 bits
EPOCHS = {"epoch seconds": 1, "epoch milliseconds": 10**3, "epoch microseconds": 10**6, "epoch nanoseconds": 10**9}
ISO_DATES, DATES, UNDIVIDED = "dates in ISO 8601", "dates", "dates without marks"
DIGITS = re.compile(r"\s*(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])[0-5]\d([0-5]\d)?)?\s*")


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """A column of a sample of rows; shares are of the values that are there.

    place     from 1
    numbers   share of numbers; `whole` is the share of whole ones; `least` and `most` are the smallest and the largest
    times     share of values in the most frequent form of a time, and that form in words
    lists     share of several ids between blanks, commas, semicolons or bars, or of a JSON array
    """

    name: str
    place: int
    rows: int
    values: int
    distinct: int
    numbers: float
    whole: float
    least: float
    most: float
    grid: float
    times: float
    time_form: str
    lists: float
    examples: tuple[str, ...]

    @property
    def is_time(self) -> bool:
        """Whether the values are times; numbers have to vary, as times do."""
        return self.times >= MOST and (self.time_form in (ISO_DATES, DATES) or self.rows < ENOUGH or self.distinct > 1)

    @property
    def is_date(self) -> bool:
        """Whether the values are written as dates, which nothing but a time is."""
        return self.is_time and self.time_form in (ISO_DATES, DATES)

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.numbers >= MOST

    @property
    def is_fractional(self) -> bool:
        """Whether the values are numbers of which many aren't whole, as coordinates and prices, and no ids."""
        return self.is_numeric and self.whole < MOST * self.numbers

    @property
    def is_unique(self) -> bool:
        """Whether hardly any value is there twice among the rows that were looked at, as in a number of the row."""
        return self.values >= ENOUGH and self.distinct >= 0.98 * self.values

    @property
    def is_row_number(self) -> bool:
        """Whether the values are whole numbers without gaps, each once."""
        return self.is_unique and self.whole == 1 and self.most - self.least < 1.05 * self.values

    @property
    def is_sparse(self) -> bool:
        """Whether most rows have no value."""
        return self.values < 0.5 * self.rows

    @property
    def is_rating(self) -> bool:
        """Whether the values are on a scale of ratings: halves up to 10, or fives up to 100."""
        halves, fives = self.most <= 10 and self.grid >= 0.5, self.most <= 100 and self.grid >= 5
        scale = self.is_numeric and self.least >= -10 and (halves or fives)
        return scale and self.distinct <= 41 and (self.rows < ENOUGH or self.distinct > 1)

    def shown(self) -> str:
        """The column and some of its values, for messages."""
        values = ", ".join(example if len(example) <= 30 else f"{example[:27]}…" for example in self.examples) or "no values"
        return f"{self.name or 'the one without a name'} ({values})"


def describe_columns(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[ColumnFacts]:
    """The facts of each column, from its cells as text."""
    return [_describe(name, place, cells) for place, (name, cells) in enumerate(zip(names, columns, strict=True), start=1)]


def _describe(name: str, place: int, cells: Sequence[str]) -> ColumnFacts:
    """The facts of one column."""
    there = [cell for cell in cells if cell.strip().lower() not in MISSING]
    seen = there[:: max(1, len(there) // LOOKED_AT)]
    numbers = [float(cell.replace(",", ".")) for cell in seen if NUMBER.fullmatch(cell)]
    forms = Counter(form for cell in seen if (form := time_form(cell)))
    [(form, count)] = forms.most_common(1) or [("", 0)]
    total = max(len(seen), 1)
    return ColumnFacts(
        name=name,
        place=place,
        rows=len(cells),
        values=len(there),
        distinct=len(set(there)),
        numbers=len(numbers) / total,
        whole=sum(number.is_integer() for number in numbers) / total,
        least=min(numbers, default=0.0),
        most=max(numbers, default=0.0),
        grid=next((step for step in (5, 1, 0.5) if all((number / step).is_integer() for number in numbers)), 0.0),
        times=count / total,
        time_form=form,
        lists=sum(is_list(cell) for cell in seen) / total,
        examples=tuple(dict.fromkeys(there))[:3],
    )


def time_form(cell: str) -> str | None:
    """The form of a time, None where a text is none. Numbers are times where they lie between 1995 and 2038.

    >>> [time_form(cell) for cell in ("978300760", "2015-03-01T10:00:00Z", "Wed Mar 22 11:37:04 -0700 2017", "214536502")]
    ['epoch seconds', 'dates in ISO 8601', 'dates', None]
    """
    if is_number(cell):
        number = abs(float(cell.replace(",", ".")))
        units = (unit for unit, factor in EPOCHS.items() if EARLIEST * factor <= number <= LATEST * factor)
        return next(units, None) or (UNDIVIDED if DIGITS.fullmatch(cell) else None)
    text = cell.strip()[:START]
    if not text[:1].isalnum() or not any(letter.isdigit() for letter in text):
        return None
    return ISO_DATES if ISO.match(text) else DATES if date_patterns(text) else None


def is_list(cell: str) -> bool:
    """Whether a text is a list of ids.

    >>> is_list("12 15 N17"), is_list("[1]"), is_list("{4,5}"), is_list("4,5"), is_list("The Elder Scrolls 5")
    (True, True, True, False, False)
    """
    return LIST.match(cell[:START]) is not None and not is_number(cell)


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    return NUMBER.fullmatch(text) is not None


def follows_from(values: Sequence[str], other: Sequence[str]) -> bool:
    """Whether `other` is the same wherever a value repeats, as an item's category is, or its name. False for too few rows.

    >>> follows_from(["i1", "i2"] * 10, ["a", "b"] * 10), follows_from(["i1", "i2"] * 10, ["a", "b", "b", "a"] * 5)
    (True, False)
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value, follower in zip(values, other, strict=True):
        counts[value][follower] += 1
    repeated = [followers for followers in counts.values() if followers.total() > 1]
    rows = sum(followers.total() for followers in repeated)
    return rows >= ENOUGH and sum(max(followers.values()) for followers in repeated) >= 0.98 * rows
