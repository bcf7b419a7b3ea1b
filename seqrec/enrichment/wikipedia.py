"""Articles of Wikipedia on items: found by its search, and taken only where title, year and kind fit.

    search      list=search for title, year and hint; again without the year; then for the title's other forms
    compared    an article's title, or that of a redirect to it, must have nearly the same words and the same numbers
    read        the introductions of those that fit, in one request
    checked     no list of meanings; the year within a year of the item's, if both name one; the hint in the introduction

Source: MediaWiki's action API, https://www.mediawiki.org/wiki/API:Search and API:Query, and the extension TextExtracts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqrec.enrichment.answers import Question
from seqrec.enrichment.catalogue_items import Item
from seqrec.enrichment.facts import Facts, one_line, shortened
from seqrec.enrichment.service import Service, UnreadableAnswerError
from seqrec.enrichment.title_forms import SearchedTitle, first_year, likeness, page_title, parse_title, title_words

MOST_READ = 3  # articles whose introductions are read for one search
LONGEST_SEARCH = 300  # letters; Wikipedia's search refuses more (CirrusSearch's CirrusSearchMaxFullTextQueryLength)
KIND_CHARS = 400  # of an introduction, in which the hint and the year are looked for
OPERATORS = {"and", "or", "not"}
COMMON = {"action": "query", "format": "json", "formatversion": "2"}


class Hit(NamedTuple):
    """An article that a search found, and the redirect to it that fits the words, an empty text without one."""

    page_id: int
    title: str
    redirect: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """An article: the text of its introduction, Wikidata's few words on it, its address, and whether it is a list of meanings."""

    page_id: int
    title: str
    extract: str
    short: str
    url: str | None
    disambiguates: bool


@dataclass(frozen=True, kw_only=True)
class Wikipedia:
    """One language's Wikipedia, and which of its articles are taken."""

    service: Service
    base_url: str
    hint: str | None
    results: int
    least_likeness: float
    summary_chars: int

    def look_up(self, item: Item, _: object = None) -> Facts | None:
        """What the article on an item says; None without one that fits. Raises as `Service.ask` does."""
        title = parse_title(item.title or "")
        for words in self._searches(title):
            hits = [hit for hit in self._search(words) if self._fits(hit, title)]
            ordered = sorted(hits, key=lambda hit: self._rank(hit, title))[:MOST_READ]
            pages = {page.page_id: page for page in self._read(ordered)} if ordered else {}
            for hit in ordered:
                page = pages.get(hit.page_id)
                if page is not None and self._is_meant(page, title):
                    return self._facts(page)
        return None

    def _searches(self, title: SearchedTitle) -> Iterator[str]:
        """The words that are searched, one text after the other."""
        for place, form in enumerate(title.forms):
            plain = search_words(form)
            if place == 0 and title.year is not None:
                yield with_more_words(plain, str(title.year), self.hint)
            yield with_more_words(plain, self.hint)

    def _search(self, words: str) -> list[Hit]:
        """The articles that Wikipedia's search finds, in its order."""
        asked = {"list": "search", "srsearch": words, "srlimit": str(self.results), "srprop": "redirecttitle"}
        return self.service.ask(Question(url=self.base_url, parameters={**COMMON, **asked}), _hits)

    def _read(self, hits: Sequence[Hit]) -> list[Page]:
        """The introductions of articles."""
        asked = {
            "prop": "extracts|pageprops|info",
            "exintro": "1",
            "explaintext": "1",
            "exlimit": "max",
            "inprop": "url",
            "ppprop": "disambiguation|wikibase-shortdesc",
            "pageids": "|".join(str(hit.page_id) for hit in hits),
        }
        return self.service.ask(Question(url=self.base_url, parameters={**COMMON, **asked}), _pages)

    def _fits(self, hit: Hit, title: SearchedTitle) -> bool:
        """Whether an article's title is nearly that of an item, and no other year stands beside it."""
        named, year = page_title(hit.title), first_year(page_title(hit.title).qualifier)
        others = (named.title, hit.title, *([page_title(hit.redirect).title] if hit.redirect else []))
        best = max(likeness(form, other) for form in title.forms for other in others)
        return best >= self.least_likeness and _same_year(title.year, year)

    def _rank(self, hit: Hit, title: SearchedTitle) -> tuple[bool, bool]:
        """The order of articles whose titles fit, beside that of the search: those that name the year or the kind come first."""
        qualifier = page_title(hit.title).qualifier.casefold()
        return (
            title.year is None or str(title.year) not in qualifier,
            self.hint is None or self.hint.casefold() not in qualifier,
        )

    def _is_meant(self, page: Page, title: SearchedTitle) -> bool:
        """Whether an article is on the item, by its introduction."""
        qualifier, begin = page_title(page.title).qualifier, page.extract[:KIND_CHARS]
        about = " ".join((qualifier, page.short, begin)).casefold()
        if page.disambiguates or (self.hint is not None and self.hint.casefold() not in about):
            return False
        stated = first_year(qualifier, page.short)
        return _same_year(title.year, stated or first_year(begin)) or (stated is None and str(title.year) in begin)

    def _year(self, page: Page) -> int | None:
        """The year of what an article is about: by its title, by Wikidata's words, by the introduction."""
        return first_year(page_title(page.title).qualifier, page.short, page.extract[:KIND_CHARS])

    def _facts(self, page: Page) -> Facts:
        """What an article says."""
        return Facts(
            title=page_title(page.title).title,
            summary=shortened(one_line(page.extract), most=self.summary_chars),
            year=self._year(page),
            url=page.url,
        )


def search_words(title: str) -> str:
    """A title without the signs and words that Wikipedia's search takes for operators.

    >>> search_words('Alien³: "Resurrection" -not (intitle:x)'), search_words("FACE/OFF"), search_words("This OR That")
    ('Alien³ Resurrection not intitle x', 'FACE OFF', 'This or That')
    """
    plain = "".join(letter if letter.isalnum() or letter in "'’.&" else " " for letter in title)
    return " ".join(
        word.lower() if word.lower() in OPERATORS else word for word in plain.split() if title_words(word) or word == "&"
    )


def with_more_words(title: str, *more: str | None) -> str:
    """The words of a title and others behind it, the title cut behind a word where Wikipedia would refuse the whole.

    >>> len(with_more_words("word " * 100, "1995", "film")), with_more_words("Heat", None, "film")
    (299, 'Heat film')
    """
    behind = [word for word in more if word]
    room = max(LONGEST_SEARCH - sum(len(word) + 1 for word in behind), 0)
    if len(title) > room:
        title = title[: room + 1].rpartition(" ")[0].rstrip() or title[:room]  # of a script without blanks, its first letters
    return " ".join([title, *behind])


def _same_year(wanted: int | None, found: int | None) -> bool:
    """Whether two years are one or neighbours, as those of a festival and of the cinema are; true where one isn't known."""
    return wanted is None or found is None or abs(wanted - found) <= 1


def _query(answer: Any) -> Mapping[str, Any]:
    """The part `query` of an answer; UnreadableAnswerError, with what MediaWiki says, without one."""
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise UnreadableAnswerError(f"MediaWiki says {answer['error'].get('code')}: {answer['error'].get('info')}")
    if not isinstance(answer, dict) or not isinstance(answer.get("query"), dict):
        raise UnreadableAnswerError("the answer has no query, as MediaWiki's have: is base_url that of an api.php?")
    query: Mapping[str, Any] = answer["query"]
    return query


def _hits(answer: Any) -> list[Hit]:
    """The articles of an answer to list=search."""
    try:
        rows = _query(answer)["search"]
        return [Hit(int(row["pageid"]), str(row["title"]), str(row.get("redirecttitle") or "")) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableAnswerError(f"the answer is no list of articles: {type(error).__name__} {error}") from None


def _pages(answer: Any) -> list[Page]:
    """The articles of an answer to prop=extracts|pageprops|info."""
    try:
        return [_page(row) for row in _query(answer)["pages"] if not row.get("missing")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableAnswerError(f"the answer has no articles: {type(error).__name__} {error}") from None


def _page(row: Mapping[str, Any]) -> Page:
    """An article of such an answer."""
    marks = row.get("pageprops") or {}
    return Page(
        page_id=int(row["pageid"]),
        title=str(row["title"]),
        extract=str(row.get("extract") or ""),
        short=str(marks.get("wikibase-shortdesc") or ""),
        url=one_line(row.get("fullurl")),
        disambiguates="disambiguation" in marks,
    )
