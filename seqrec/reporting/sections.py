"""What a section of the page is: a heading, an anchor, and content; of a part that isn't there, what would bring it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from seqrec.catalogue.titles import NO_TITLES, Titles
from seqrec.command.installation import program
from seqrec.errors import UserError
from seqrec.reporting.chain_versions import Version
from seqrec.reporting.markup import Markup, element, joined, paragraph

# What a bad value, or a file that can't be read, raises.
BROKEN = (UserError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError)

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section; `name` is its anchor."""

    name: str
    title: str
    content: Markup

    @property
    def shown(self) -> Markup:
        """The section as HTML."""
        return element("section", element("h2", self.title, id=self.name), self.content)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What is picked out of a chain: so many users and items, or those that are named, and the titles of items."""

    users: int = 6
    named_users: tuple[int | str, ...] = ()
    items: int = 6
    named_items: tuple[int | str, ...] = ()
    titles: Titles = NO_TITLES


def section(name: str, title: str, write: Callable[[], Markup]) -> Section:
    """A section whose content is what `write` gives; if a version turns out to be broken, the content and the log say that."""
    try:
        content = write()
    except BROKEN as error:
        content = absent(f"This part can't be shown: {why(error)}.")
        log.warning("the part %r of the report can't be shown: %s", title, why(error))
    return Section(name=name, title=title, content=content)


def why(error: Exception) -> str:
    """In words, why something can't be shown.

    >>> why(UserError("stats.json is no JSON")), why(KeyError("step"))
    ('stats.json is no JSON', "a value in its files is missing or of a wrong kind (KeyError: 'step')")
    """
    if isinstance(error, UserError):
        return str(error)
    return f"a value in its files is missing or of a wrong kind ({type(error).__name__}: {error})"


def absent(*sentences: str) -> Markup:
    """Why there is nothing to show, and what would bring it."""
    return paragraph(*sentences, class_="note")


def no_version(what: str, job: str) -> Markup:
    """Of a section whose version isn't there."""
    return absent(f"There is no finished {what} here.", f"It is written by {program()} {job}.")


def origin(version: Version) -> Markup:
    """Where a section's numbers are from."""
    return paragraph("Read from ", element("code", version.path), class_="small")


def parts(*content: Markup | None) -> Markup:
    """The parts of a section that are there."""
    return joined(part for part in content if part is not None)


def charts(*drawn: Markup | None) -> Markup | None:
    """Charts beside each other, as far as the screen is wide; None without any."""
    there = [chart for chart in drawn if chart is not None]
    return element("div", *there, class_="charts") if there else None


def percent(share: float) -> str:
    """A share as a percentage.

    >>> percent(0.5056), percent(0.00713), percent(0.0)
    ('50.6 %', '0.71 %', '0 %')
    """
    return f"{100 * share:.{3 if share >= 0.1 else 2}g} %" if share < 0.9995 else "100 %"
