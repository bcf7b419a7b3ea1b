"""What is recommended: how much of the catalogue, how popular it is, the most frequent items, and what made the lists."""

from seqrec.catalogue.titles import Titles
from seqrec.command.screen import counted
from seqrec.reporting.chain_versions import Chain
from seqrec.reporting.charts import Labels, Series, bar_chart
from seqrec.reporting.list_counts import FIRST, GROUPS, Catalogue, ListCounts, popularity_groups
from seqrec.reporting.markup import Content, Markup, element, facts, paragraph, table
from seqrec.reporting.sections import charts, no_version, origin, parts, percent

MOST = 10  # items that are listed
SOURCES = {
    "ranker": "a ranker put the candidates in order",
    "model": "the model scored all items",
    "popular": "the model knows nothing of the user, so popular items are given",
    "none": "the user has had all items that may be recommended",
}


def recommended_lists(chain: Chain, catalogue: Catalogue | None, counts: ListCounts | None, titles: Titles) -> Markup:
    """The section."""
    lists = chain.lists
    if lists is None:
        return no_version("version of lists", "batch_recommend")
    if catalogue is None or counts is None:
        wanted = lists.meta.get("dataset")
        return parts(
            paragraph(
                f"The dataset {wanted} that the lists were made from is no longer there, so nothing can be said of their items.",
                class_="note",
            ),
            origin(lists),
        )
    return parts(
        _summary(counts, catalogue),
        charts(_popularity(catalogue, counts)),
        _sources(counts),
        _most_frequent(catalogue, counts, titles),
        origin(lists),
    )


def _summary(counts: ListCounts, catalogue: Catalogue) -> Markup:
    """Coverage and concentration."""
    shown = facts(
        [
            ("users with a list", f"{counts.users - counts.sources.get('none', 0):,}"),
            (f"items in anybody's first {FIRST}", f"{int((counts.shown > 0).sum()):,} of {len(catalogue.ids):,}"),
            ("coverage", percent(counts.coverage)),
            ("Gini index", f"{counts.gini:.3f}"),
        ]
    )
    said = [
        f"All numbers are of the first {FIRST} items of each list.",
        "Coverage is the share of the catalogue that at least one user is recommended.",
        "The Gini index is 0 if all items are recommended equally often, and near 1 if a few items get nearly all places.",
    ]
    if counts.unknown:
        said.append(f"The dataset lacks the items of {counted(counts.unknown, 'place')} of lists.")
    return parts(shown, paragraph(*said))


def _popularity(catalogue: Catalogue, counts: ListCounts) -> Markup | None:
    """The shares of events and of recommendations by popularity."""
    groups = popularity_groups(catalogue, counts.shown)
    if not counts.shown.sum():
        return None
    events, lists = groups[0]
    described = (
        f"Items in {GROUPS} groups of equal size, the most popular first. The first group has {percent(events)} of the training "
        f"events, and {percent(lists)} of the recommendations."
    )
    labels = Labels(
        title="How popular is what is recommended", description=described, across="group of items by popularity", up="share"
    )
    series = [
        Series(name="training events", points=[(float(place), share) for place, (share, _) in enumerate(groups)]),
        Series(name="recommendations", points=[(float(place), share) for place, (_, share) in enumerate(groups)]),
    ]
    return bar_chart([str(place + 1) for place in range(len(groups))], series, labels, percent=True)


def _sources(counts: ListCounts) -> Markup:
    """How many lists came from where."""
    rows = [
        [source, SOURCES.get(source, "another source"), f"{users:,}", percent(users / max(1, counts.users))]
        for source, users in counts.sources.most_common()
    ]
    return table(["source", "what it means", "users", "share"], rows, caption="What made the lists", left=2)


def _most_frequent(catalogue: Catalogue, counts: ListCounts, titles: Titles) -> Markup:
    """The items that most users get."""
    order = sorted(range(len(counts.shown)), key=lambda place: (-counts.shown[place], place))[:MOST]
    rows: list[list[Content]] = []
    for place in order:
        if counts.shown[place]:
            item = catalogue.ids[place].as_py()
            rows.append(
                [
                    titles.shown(item),
                    f"{counts.shown[place]:,}",
                    percent(counts.shown[place] / max(1, counts.users)),
                    f"{catalogue.counts[place]:,}",
                ]
            )
    said = paragraph(
        "An item that most users get is either very popular or wrongly preferred: its number of training events tells which."
    )
    shown = table(
        ["item", "users", "share of users", "training events"],
        rows,
        caption=f"The items that are most often among the first {FIRST}",
    )
    return parts(element("h3", "The most recommended items"), said, shown)
