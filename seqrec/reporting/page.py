"""The page: what it is about, a table of contents, the sections; one file of HTML that loads nothing and runs no script."""

from collections.abc import Sequence
from typing import Any

from seqrec.command.screen import grouped
from seqrec.errors import UserError
from seqrec.reporting.chain_versions import METRICS, STATS, Chain, Version
from seqrec.reporting.event_counts import iso_time
from seqrec.reporting.markup import Content, Markup, element, facts, joined, listing, markup, paragraph
from seqrec.reporting.metrics_section import MAIN
from seqrec.reporting.sections import Section
from seqrec.reporting.style import STYLE

NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_page(chain: Chain, sections: Sequence[Section], *, name: str, made_at: str) -> str:
    """The whole file."""
    title = f"Report: {name}"
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=NOTHING_FROM_OUTSIDE),
        element("title", title),
        element("style", Markup(STYLE)),
    ]
    links = (element("a", section.title, href=f"#{section.name}") for section in sections)
    body = [
        element("header", element("h1", title), *_summary(chain), _problems(chain.problems)),
        element("nav", listing(links, ordered=True), aria_label="Contents"),
        element("main", joined(section.shown for section in sections)),
        element(
            "footer",
            f"Written by seqrec at {made_at} from the finished versions of this chain; the page holds all that it shows.",
        ),
    ]
    page = element("html", element("head", joined(head)), element("body", joined(body)), lang="en")
    return f"<!DOCTYPE html>\n{markup(page)}\n"


def _summary(chain: Chain) -> list[Content]:
    """The numbers that a reader asks for first, as far as they are there."""
    stats: dict[str, Any] = _read(chain.dataset, STATS)
    metrics: dict[str, dict[str, float]] = _read(chain.evaluation, METRICS).get("metrics", {})
    first = next(iter(metrics.values()), {})
    published = next((entry for entry in reversed(chain.published) if entry.finished), None)
    pairs: list[tuple[str, Content]] = [
        (name, grouped(stats[kind][key]))
        for name, kind, key in (("users", "users", "with_events"), ("items", "items", "vocabulary"), ("events", "events", "all"))
        if key in stats.get(kind, {})
    ]
    if MAIN in first:
        pairs.append(
            (f"NDCG@10 of {chain.evaluation.meta.get('split', 'test') if chain.evaluation else 'test'}", f"{first[MAIN]:.4f}")
        )
    pairs.append(("published", iso_time(published.finished or "") if published else "not yet"))
    about = paragraph(
        "What a chain made of its ratings, from the data to the lists that users get, with what each number means.", class_="lead"
    )
    return [about, facts(pairs)]


def _read(version: Version | None, name: str) -> dict[str, Any]:
    """A file of a version; empty where there is none, or where it is broken, which its section says."""
    try:
        content: dict[str, Any] = {} if version is None else version.read_json(name)
    except UserError:
        return {}
    return content


def _problems(problems: Sequence[str]) -> Markup:
    """What is missing, or doesn't fit together."""
    if not problems:
        return Markup("")
    return element("div", element("strong", "Not all of this chain is here, or fits together"), listing(problems), class_="note")
