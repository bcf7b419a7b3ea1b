"""A title as people search it, and how well another one matches: without year, article at the front, other titles apart.

parse_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
# forms 'The City of Lost Children' and 'La Cité des enfants perdus', year 1995
"""

import re
import unicodedata
from collections import Counter
from functools import cache
from typing import NamedTuple

YEAR = re.compile(r"\b(1[89]\d\d|20\d\d)\b")
LAST_YEAR = re.compile(r"(.*\S)\s*\((1[89]\d\d|20\d\d)(?:\s*[-–]\s*\d{0,4})?\s*\)")
MEDIUM = re.compile(r"(.*\S)\s*\((?:V|TV|VG|Unknown|[IVX]+)\)")  # marks of IMDb that are no part of a title
LAST_BRACKETS = re.compile(r"(.*\S)\s*\(([^()]+)\)")
OTHER_NAME = re.compile(r"^(?:a\.?k\.?a\.?:?|also known as)\s+", re.IGNORECASE)
ARTICLES = (
    *("The", "A", "An", "Le", "La", "Les", "L'", "L’", "Un", "Une", "Il", "Lo", "I", "Gli", "Una", "El", "Los", "Las"),
    *("Der", "Die", "Das", "Den", "Det", "Ein", "Eine", "De", "Het", "Een", "En", "Et", "O", "Os", "As", "Um", "Uma"),
)
LAST_ARTICLE = re.compile(rf"(.*\S),\s*({'|'.join(ARTICLES)})", re.IGNORECASE)
LEADING = {"the", "a", "an"}  # left out where titles are compared
NUMERALS = ("ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii")
ROMAN = {name: str(number) for number, name in enumerate(NUMERALS, start=2)}
QUALIFIED = re.compile(r"(.*\S)\s*\(([^()]*)\)")  # an article's title such as Heat (1995 film)
WORD = re.compile(r"[^\W_]+")


class SearchedTitle(NamedTuple):
    """The forms of a title, the usual one first, and the year that it names."""

    forms: tuple[str, ...]
    year: int | None


class PageTitle(NamedTuple):
    """The title of an article, and what it says in brackets to tell it from others, such as `1995 film`."""

    title: str
    qualifier: str


def parse_title(text: str) -> SearchedTitle:
    """A title of a catalogue, taken apart; no forms where it has no letter or digit.

    >>> parse_title("Matrix, The (1999)")
    SearchedTitle(forms=('The Matrix',), year=1999)
    >>> parse_title("Seven (a.k.a. Se7en) (1995)").forms, parse_title("(500) Days of Summer (2009)").forms
    (('Seven', 'Se7en'), ('(500) Days of Summer',))
    >>> parse_title("Blade Runner 2049"), parse_title(" - ").forms
    (SearchedTitle(forms=('Blade Runner 2049',), year=None), ())
    """
    rest, year = " ".join(text.split()), None
    others: list[str] = []
    while match := MEDIUM.fullmatch(rest) or LAST_YEAR.fullmatch(rest) or LAST_BRACKETS.fullmatch(rest):
        rest = match[1]
        if match.re is LAST_YEAR:
            year = year or int(match[2])
        elif match.re is LAST_BRACKETS:
            others.insert(0, OTHER_NAME.sub("", match[2].strip()))
    forms = [move_article(form) for form in (rest, *others)]
    return SearchedTitle(tuple(dict.fromkeys(form for form in forms if title_words(form))), year)


def move_article(title: str) -> str:
    """A title whose article stands at its end, with the article in front.

    >>> move_article("Matrix, The"), move_article("Avventura, L'"), move_article("Rosencrantz, Guildenstern")
    ('The Matrix', "L'Avventura", 'Rosencrantz, Guildenstern')
    """
    match = LAST_ARTICLE.fullmatch(title.strip())
    if match is None:
        return title.strip()
    return f"{match[2]}{'' if match[2].endswith((chr(39), '’')) else ' '}{match[1]}"


def page_title(text: str) -> PageTitle:
    """The title of an article, and the words in brackets at its end.

    >>> page_title("Heat (1995 film)"), page_title("Toy Story")
    (PageTitle(title='Heat', qualifier='1995 film'), PageTitle(title='Toy Story', qualifier=''))
    """
    match = QUALIFIED.fullmatch(text.strip())
    return PageTitle(match[1], match[2]) if match else PageTitle(text.strip(), "")


@cache
def title_words(title: str) -> tuple[str, ...]:
    """The words by which titles are compared: small, without accents and without an article in front, Roman numbers as digits.

    >>> title_words("The Cité & Rocky II"), title_words("Ocean's Eleven"), title_words("A")
    (('cite', 'and', 'rocky', '2'), ('oceans', 'eleven'), ('a',))
    """
    plain = unicodedata.normalize("NFKD", title.replace("&", " and ").replace("'", "").replace("’", "")).casefold()
    words = WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))
    kept = words[1:] if len(words) > 1 and words[0] in LEADING else words
    return tuple(ROMAN.get(word, word) for word in kept)


def likeness(title: str, other: str) -> float:
    """The share of words that two titles have in common (F1), from 0 to 1; 0 where their numbers differ, as those of sequels do.

    >>> likeness("The Matrix", "Matrix"), likeness("Toy Story", "Toy Story 2"), likeness("Heat", "Dead Heat")
    (1.0, 0.0, 0.6666666666666666)
    """
    words, others = Counter(title_words(title)), Counter(title_words(other))
    if _numbers(words) != _numbers(others):
        return 0.0
    return 2 * (words & others).total() / max(1, words.total() + others.total())


def first_year(*texts: str) -> int | None:
    """The first year, from 1800 to 2099, in the first text that names one.

    >>> first_year("", "1995 American film by John Lasseter"), first_year("Room 1408")
    (1995, None)
    """
    years = (match for text in texts if (match := YEAR.search(text)))
    found = next(years, None)
    return int(found[1]) if found else None


def _numbers(words: Counter[str]) -> Counter[str]:
    """The words that are numbers."""
    return Counter({word: count for word, count in words.items() if word.isdecimal()})
