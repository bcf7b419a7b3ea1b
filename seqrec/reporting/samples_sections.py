"""Samples to judge by eye: users with their histories and lists, and items with their neighbours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqrec.catalogue.titles import Titles
from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.reporting.chain_versions import Chain
from seqrec.reporting.list_counts import FIRST, Id, ListCounts
from seqrec.reporting.markup import Content, Markup, element, listing, paragraph
from seqrec.reporting.sample_users import History
from seqrec.reporting.sections import Samples, absent, no_version, origin, parts
from seqrec.serving.recommender import Recommender

NEIGHBOURS = 6


def sample_users(chain: Chain, counts: ListCounts | None, histories: Mapping[Id, History], samples: Samples) -> Markup:
    """The section of users."""
    if chain.lists is None:
        return no_version("version of lists", "batch_recommend")
    rows = {} if counts is None else counts.rows
    asked = [str(user) for user in samples.named_users if str(user) not in map(str, rows)]
    without = f"Users without a list: {', '.join(asked)}."
    if not rows:
        return absent("None of the users has a list here.", *([without] if asked else []))
    history = chain.lists.meta.get("history", "full")
    known = "" if history == "full" else f" The lists were made from the histories without what {history} holds out."
    said = [
        "These users were named."
        if samples.named_users
        else "These users have histories from short to long; they are not chosen for good lists.",
        f"The latest items come first, beside the first {FIRST} items that are recommended, with their scores.{known}",
        "Of a long history the dataset keeps the newest items alone, by max_history.",
        "Scores only put the items of one list in order: those of two users can't be compared.",
    ]
    missing = absent(without) if asked else None
    users = [user for user in histories if user in rows] + [user for user in rows if user not in histories]
    cards = [user_card(user, histories.get(user), rows[user], samples.titles) for user in users]
    return parts(paragraph(*said), missing, element("div", *cards, class_="cards"), origin(chain.lists))


def user_card(user: Id, history: History | None, row: Mapping[str, Any], titles: Titles) -> Markup:
    """A user's history beside the list."""
    kept = None if history is None else counted(history.length, "item")
    had = "their history is no longer there" if kept is None else f"the newest {kept} of the history"
    latest = (
        listing([titles.shown(item) for item in history.latest], ordered=True) if history and history.latest else paragraph("–")
    )
    best = listing([scored(titles.shown(entry["item_id"]), entry["score"]) for entry in row["items"][:FIRST]], ordered=True)
    return element(
        "div",
        element("h3", f"User {user}"),
        paragraph(f"{had}; source of the list: {row['source']}", class_="small"),
        element(
            "div",
            element("div", element("h4", "Latest items"), latest),
            element("div", element("h4", "Recommended"), best if row["items"] else paragraph("an empty list")),
            class_="lists",
        ),
        class_="card",
    )


def scored(title: str, score: float) -> Markup:
    """A title and its score."""
    return element("span", title, " ", element("span", f"({score:.3f})", class_="span"))


def neighbours_of_items(chain: Chain, samples: Samples) -> Markup:
    """The section of items."""
    if chain.export is None:
        return no_version("export of a model", "export_onnx")
    recommender = Recommender.load(chain.export.path)
    items = _items(recommender, samples)
    cards: list[Content] = []
    for item in items:
        near = recommender.neighbours(item, NEIGHBOURS)
        shown = listing([scored(samples.titles.shown(other), score) for other, score in near], ordered=True)
        events = int(recommender.model.counts[recommender.model.ids.index(item).as_py()])
        cards.append(
            element(
                "div",
                element("h3", samples.titles.shown(item)),
                paragraph(f"item {item}, {counted(events, 'training event')}", class_="small"),
                shown,
                class_="card",
            )
        )
    said = paragraph(
        "The items that the model takes for most alike, by the cosine of their vectors: 1 is the same direction.",
        "If items that belong together stand together, the model has learned something; what is chosen are "
        + ("the items that were named." if samples.named_items else "the most popular items, which a reader may know."),
    )
    return parts(said, element("div", *cards, class_="cards"), origin(chain.export))


def _items(recommender: Recommender, samples: Samples) -> Sequence[Id]:
    """The items that are shown; UserError for a named one that the model doesn't know."""
    if samples.named_items:
        kind = recommender.id_types.item
        named: list[Id] = [str(item) if kind == "string" else _whole(item) for item in samples.named_items]
        if strangers := [str(item) for item in named if not recommender.knows(item)]:
            raise UserError(f"items: the model {recommender.name} doesn't know {', '.join(strangers)}")
        return named
    counts = recommender.model.counts
    known = sorted(np.flatnonzero(counts > 0).tolist(), key=lambda place: (-counts[place], place))[: samples.items]
    return [recommender.model.ids[place].as_py() for place in known]


def _whole(item: Id) -> int:
    """An id as the integer that it is."""
    try:
        return int(item)
    except ValueError:
        raise UserError(f"items: {item!r} is no id of this model, whose items are whole numbers") from None
