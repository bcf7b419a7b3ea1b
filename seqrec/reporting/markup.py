"""HTML and SVG out of Python values: all text is escaped unless it is Markup already.

paragraph("943 users < 1,000")                    <p>943 users &lt; 1,000</p>
element("svg", element("title", "loss"), viewBox="0 0 10 10")
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # characters that no page may hold
EMPTY_ELEMENTS = ("meta", "br", "rect", "line", "circle", "polyline", "path", "col")


@dataclass(frozen=True)
class Markup:
    """Text that is HTML: it is put into a page as it stands."""

    html: str


Content = str | Markup


def markup(content: Content) -> str:
    """The HTML of a text or of markup; characters that HTML can't hold become a question mark.

    >>> markup("<b> & 'c'"), markup(Markup("<b>")), markup("a\\x00b")
    ('&lt;b&gt; &amp; &#x27;c&#x27;', '<b>', 'a\ufffdb')
    """
    return content.html if isinstance(content, Markup) else escape(NO_XML.sub("\ufffd", content))


def element(name: str, /, *content: Content, **attributes: object) -> Markup:
    """An element; an attribute's name is written with `-` for `_`, without one at its end; None leaves it out.

    >>> element("p", "a < b", class_="note", tab_index=0).html
    '<p class="note" tab-index="0">a &lt; b</p>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{markup(str(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = "".join(map(markup, content))
    return Markup(f"<{name}{shown}/>" if name in EMPTY_ELEMENTS else f"<{name}{shown}>{inner}</{name}>")


def joined(parts: Iterable[Content], between: str = "\n") -> Markup:
    """Parts one after another."""
    return Markup(between.join(map(markup, parts)))


def paragraph(*sentences: Content, class_: str | None = None) -> Markup:
    """Sentences as a paragraph."""
    return element("p", joined(sentences, " "), class_=class_)


def listing(entries: Iterable[Content], *, ordered: bool = False, class_: str | None = None) -> Markup:
    """A list."""
    return element("ol" if ordered else "ul", *(element("li", entry) for entry in entries), class_=class_)


def table(header: Sequence[Content], rows: Sequence[Sequence[Content]], *, caption: str, left: int = 1) -> Markup:
    """A table: the first `left` columns to the left, the others, of numbers, to the right; the first cell of a row names it.

    A table that is too wide for the screen is scrolled by itself, so that the page isn't.
    """

    def cell(name: str, place: int, content: Content, **attributes: object) -> Markup:
        return element(name, content, class_=None if place < left else "number", **attributes)

    head = element("tr", *(cell("th", place, content, scope="col") for place, content in enumerate(header)))
    body = [
        element(
            "tr",
            *(
                cell("th", place, content, scope="row") if place == 0 else cell("td", place, content)
                for place, content in enumerate(row)
            ),
        )
        for row in rows
    ]
    inner = element("table", element("caption", caption), element("thead", head), element("tbody", joined(body)))
    return element("div", inner, class_="scroll", role="region", aria_label=caption, tabindex=0)


def facts(pairs: Iterable[tuple[str, Content]]) -> Markup:
    """Names and their values, one below the other."""
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in pairs))


def folded(summary: str, content: Content) -> Markup:
    """Content that is shown at a click."""
    return element("details", element("summary", summary), content)
