"""Which patterns of Spark's datetime letters read a date that isn't written as ISO 8601, by the text itself; without Spark.

    Wed Mar 22 11:37:04 -0700 2017      EEE MMM d H:mm:ss Z yyyy
    3/22/2017 9:05:58 AM                M/d/yyyy h:mm:ss a
    22-Mar-2017                         d-MMM-yyyy

A date such as 01/02/2019 has two readings. The dates of a column share the readings that are left when each has excluded its own.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

ONE_MEANING = (  # zones by names that have one meaning, those of RFC 822 first; BST, IST and others stand for several
    "UTC +00:00, GMT +00:00, EST -05:00, EDT -04:00, CST -06:00, CDT -05:00, MST -07:00, MDT -06:00, PST -08:00, PDT -07:00, "
    "WET +00:00, WEST +01:00, CET +01:00, CEST +02:00, EET +02:00, EEST +03:00, JST +09:00, KST +09:00, HKT +08:00, SGT +08:00, "
    "AEST +10:00, AEDT +11:00, NZST +12:00, NZDT +13:00, AKST -09:00, AKDT -08:00, HST -10:00"
)
ZONES = dict(pair.split() for pair in ONE_MEANING.split(", "))
NAMES = "|".join(sorted(ZONES, key=len, reverse=True))
MOST = 8  # patterns of a column: more are no format but free text
ISO = re.compile(
    r"[+-]?\d{4,6}-\d{1,2}-\d{1,2}"
    r"(?:[T ]\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:\.\d*)?)?)?\s*"
    rf"(?:Z|[+-]\d{{1,2}}(?::?\d{{1,2}})?|{NAMES}|[A-Za-z]+(?:/\w+)+)?)?$"
)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE | re.ASCII)
CLOCK = (
    r"(?P<clock>(?P<hour>\d{1,2}):\d\d(?P<seconds>:\d\d(?P<fraction>[.,]\d{1,9})?)?(?P<half> ?[AaPp][Mm])?)"
    rf"(?P<gap> ?)(?P<zone>Z|[+-]\d\d:\d\d|[+-]\d{{4}}|{NAMES})?"
)
REST = rf"(?P<rest>(?:T|,? |:){CLOCK})?$"
WEEKDAY = r"(?P<weekday>[A-Z][a-z]{2,8},? )?"
WORD = r"[A-Za-z]{3,9}"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NUMERIC = re.compile(rf"(?P<a>\d{{1,4}})(?P<mark>[/.-])(?P<b>\d{{1,2}})(?P=mark)(?P<c>\d{{1,4}}){REST}")
NAMED = re.compile(
    rf"{WEEKDAY}(?:(?P<day>\d{{1,2}})(?P<mark>[ /-])(?P<month>{WORD})(?P=mark)|(?P<first>{WORD}) \d{{1,2}}(?P<comma>,?) )"
    rf"(?P<year>\d{{4}}|\d{{2}}){REST}"
)
YEAR_LAST = re.compile(rf"{WEEKDAY}(?P<month>{WORD}) \d{{1,2}} {CLOCK} \d{{4}}$")
COMMA = re.compile(r"(?P<month>\d{1,2}) (?P<day>\d{1,2}), \d{4}$")  # 09 13, 2009 in Amazon's reviews
BASIC = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])T\d{6}(?P<zone>Z|[+-]\d{4})?$")
ANY = ""  # the order of a date that has one alone
ORDERS = {"year first": "yMd", "month first": "Mdy", "day first": "dMy"}  # of the parts of a date that are numbers


class DateFormats(NamedTuple):
    """Patterns that read the dates of a column, in the order in which they are tried; of two such groups one is right.

    `example` is a date that each group of several reads, as another day where there is such a one.
    """

    alternatives: list[tuple[str, ...]]
    example: str | None = None


def date_patterns(text: str) -> dict[str, str]:
    """The patterns that may read a date which isn't ISO 8601, by the order of its parts ("" where that is no question).

    >>> date_patterns("01/31/2019"), date_patterns("Tue Apr 03 18:00:09 +0000 2012")
    ({'month first': 'M/d/yyyy'}, {'': 'EEE MMM d H:mm:ss Z yyyy'})
    >>> date_patterns("1.2.19 7:05"), date_patterns("2019-01-31"), date_patterns("31/31/2019")
    ({'month first': 'M.d.yy H:mm', 'day first': 'd.M.yy H:mm'}, {}, {})
    """
    text = " ".join(text.split())
    if ISO.match(text) or NUMBER.match(text):
        return {}
    if match := NUMERIC.match(text):
        return _numeric(match)
    if match := NAMED.match(text):
        return _named(match)
    if (match := YEAR_LAST.match(text)) and (month := _month(match["month"])):
        return {ANY: f"{_weekday(match)}{month} d {_clock(match)} yyyy"}
    if (match := COMMA.match(text)) and int(match["month"]) <= 12 and int(match["day"]) <= 31:
        return {ANY: "M d, yyyy"}
    if match := BASIC.match(text):
        return {ANY: "yyyyMMdd'T'HHmmss" + ("" if match["zone"] is None else "XX")}
    return {}


def date_formats(texts: Iterable[str]) -> DateFormats:
    """The patterns of a column's dates that aren't ISO 8601; no alternative if there are none.

    Dates with several readings are left alone where they are fewer than a tenth: they are dirty cells in a column of others.

    >>> date_formats(["1/2/2019", "1/31/2019 9:05"]).alternatives
    [('M/d/yyyy', 'M/d/yyyy H:mm')]
    >>> date_formats(["1/2/2019", "3/3/2019"])
    DateFormats(alternatives=[('M/d/yyyy',), ('d/M/yyyy',)], example='1/2/2019')
    """
    cells = list(texts)
    readings = [(text, patterns) for text in cells if (patterns := date_patterns(text))]
    ordered = [set(patterns) for _, patterns in readings if ANY not in patterns]
    left = set.intersection(*ordered) or set.union(*ordered) if ordered else {ANY}
    groups = {
        order: _most_frequent(patterns.get(order) or patterns[ANY] for _, patterns in readings if patterns.keys() & {order, ANY})
        for order in (ANY, *ORDERS)
        if order in left
    }
    both = [text for text, patterns in readings if left <= patterns.keys()]
    if len(left) > 1 and 10 * len(both) < len(cells):
        return DateFormats([groups[ANY]] if groups.get(ANY) else [])
    example = min(both, key=_parts_are_equal, default=None) if len(left) > 1 else None
    return DateFormats([patterns for patterns in groups.values() if patterns], example)


def _parts_are_equal(text: str) -> bool:
    """Whether the first two numbers of a date are equal, so that their order makes no difference."""
    first, second = re.findall(r"\d+", text)[:2]
    return int(first) == int(second)


def _most_frequent(patterns: Iterable[str]) -> tuple[str, ...]:
    """The distinct patterns, the most frequent first."""
    return tuple(pattern for pattern, _ in Counter(patterns).most_common(MOST))


def _numeric(match: re.Match[str]) -> dict[str, str]:
    """The patterns of a date of three numbers, by the order of the parts that their sizes allow."""
    parts = {"a": match["a"], "b": match["b"], "c": match["c"]}
    rest = _rest(match)
    found = {}
    for order, letters in ORDERS.items():
        by_letter = dict(zip(letters, parts.values(), strict=True))
        year = by_letter["y"]
        fits = len(year) in (2, 4) and 1 <= int(by_letter["M"]) <= 12 and 1 <= int(by_letter["d"]) <= 31
        if fits and all(len(part) <= 2 for letter, part in by_letter.items() if letter != "y"):
            words = ["y" * len(year) if letter == "y" else letter for letter in letters]
            found[order] = match["mark"].join(words) + rest
    return found


def _named(match: re.Match[str]) -> dict[str, str]:
    """The pattern of a date whose month is a name; none where the name is none of a month."""
    month = _month(match["month"] or match["first"])
    if not month:
        return {}
    year = "y" * len(match["year"])
    day_first, day_second = f"d{match['mark']}{month}{match['mark']}{year}", f"{month} d{match['comma']} {year}"
    return {ANY: _weekday(match) + (day_first if match["day"] else day_second) + _rest(match)}


def _weekday(match: re.Match[str]) -> str:
    """The pattern of a weekday and what follows it; empty without one."""
    return re.sub(r"[A-Za-z]+", "EEE", match["weekday"] or "")


def _month(name: str) -> str:
    """The pattern of a month's name: short or whole; empty for another word."""
    return "" if name[:3].title() not in MONTHS else "MMM" if len(name) == 3 else "MMMM"


def _rest(match: re.Match[str]) -> str:
    """The pattern of what follows the date: a separator, a clock and a zone."""
    if match["rest"] is None:
        return ""
    separator = match["rest"].partition(match["clock"])[0]
    return ("'T'" if separator == "T" else separator) + _clock(match)


def _clock(match: re.Match[str]) -> str:
    """The pattern of a clock and a zone."""
    seconds = "" if match["seconds"] is None else ":ss"
    fraction = "" if match["fraction"] is None else f"[{match['fraction'][0]}SSSSSSSSS]"
    half = "" if match["half"] is None else match["half"][:-2] + "a"
    zone = match["zone"]
    letters = "" if zone is None else "Z" if re.fullmatch(r"[+-]\d{4}", zone) else "XXX"  # of names, too
    return f"{'H' if match['half'] is None else 'h'}:mm{seconds}{fraction}{half}{match['gap'] if zone else ''}{letters}"
