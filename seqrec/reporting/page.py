"""The page: what it is about, a table of contents, the sections; one file of HTML that loads nothing and runs no script."""

from collections.abc import Callable, Sequence
from functools import partial

from seqrec.command.screen import grouped
from seqrec.evaluation.report import short_names
from seqrec.reporting.chain_versions import METRICS, STATS, Chain
from seqrec.reporting.charts import is_finite
from seqrec.reporting.event_counts import iso_time
from seqrec.reporting.markup import Content, Markup, element, facts, joined, listing, markup, paragraph
from seqrec.reporting.metrics_section import MAIN
from seqrec.reporting.sections import BROKEN, Section
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
    about = paragraph(
        "What a chain made of its ratings, from the data to the lists that users get, with what each number means.", class_="lead"
    )
    pairs = [pair for told in (_counts, _main_metric, _published) for pair in _readable(partial(told, chain))]
    return [about, facts(pairs)]


def _readable(told: Callable[[], list[tuple[str, Content]]]) -> list[tuple[str, Content]]:
    """What is told; nothing where its file is broken, which its section says."""
    try:
        return told()
    except BROKEN:
        return []


def _counts(chain: Chain) -> list[tuple[str, Content]]:
    """Users, items and events of the dataset."""
    stats = {} if chain.dataset is None else chain.dataset.read_json(STATS)
    kinds = (("users", "users", "with_events"), ("items", "items", "vocabulary"), ("events", "events", "all"))
    return [(name, grouped(stats[kind][key])) for name, kind, key in kinds if key in stats.get(kind, {})]


def _main_metric(chain: Chain) -> list[tuple[str, Content]]:
    """NDCG@10 of the first method, by its name: it may be a baseline."""
    if chain.evaluation is None:
        return []
    results: dict[str, dict[str, float]] = chain.evaluation.read_json(METRICS).get("metrics", {})
    if not results:
        return []
    split = chain.evaluation.meta.get("split", "test")
    name, metrics = next(iter(results.items()))
    value = metrics.get(MAIN)
    return [(f"NDCG@10 of {split}, {short_names(results)[name]}", f"{value:.4f}")] if is_finite(value) else []


def _published(chain: Chain) -> list[tuple[str, Content]]:
    """When lists were published last."""
    published = next((entry for entry in reversed(chain.published) if entry.finished), None)
    return [("published", iso_time(published.finished or "") if published else "not yet")]


def _problems(problems: Sequence[str]) -> Markup:
    """What is missing, or doesn't fit together."""
    if not problems:
        return Markup("")
    return element("div", element("strong", "Not all of this chain is here, or fits together"), listing(problems), class_="note")
