"""Two chains beside each other: what changed in settings, in the data, in the metrics, and in the users' lists."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqrec.catalogue.titles import Titles
from seqrec.command.config import flatten
from seqrec.command.screen import counted, grouped
from seqrec.errors import UserError
from seqrec.reporting.chain_versions import METRICS, STATS, Chain, Version
from seqrec.reporting.charts import Labels, Series, bar_chart
from seqrec.reporting.lineage_sections import SETTINGS_OF, flat_settings
from seqrec.reporting.list_counts import FIRST, Id
from seqrec.reporting.list_overlap import MOST_USERS, FirstItems, Overlap, overlap, read_first_items, rows_of
from seqrec.reporting.markup import Content, Markup, element, listing, paragraph, table
from seqrec.reporting.metrics_section import changes_table, paired_sentence
from seqrec.reporting.paired import compare_evaluations
from seqrec.reporting.sections import absent, charts, parts, percent
from seqrec.storage import files

LISTS = "recommendations"
SHOWN_USERS, LISTED = 4, 5
UNCHANGED = ("data", "model", "output", "keep", "table", "evaluation")  # folders, which two roots have different by nature


def compared_with(now: Chain, before: Chain, titles: Titles) -> Markup:
    """The section: `now` is this page's chain, `before` the other."""
    return parts(
        paragraph(*_which(now, before)),
        listing(before.problems, class_="note") if before.problems else None,
        *(part(now, before) for part in (_settings, _data, _metrics)),
        _shown_lists(now, before, titles),
    )


def _which(now: Chain, before: Chain) -> list[str]:
    """Which versions are compared."""
    pairs = [(name, getattr(now, name), getattr(before, name)) for name in ("dataset", "export", "evaluation", "lists")]
    said = []
    for name, new, old in pairs:
        if new is not None and old is not None:
            said.append(
                f"The same {name}, {new.run_id}."
                if new.path == old.path
                else f"{name.capitalize()} {new.run_id} now, {old.run_id} before."
            )
    return said or ["The two have no kind of version in common."]


def _settings(now: Chain, before: Chain) -> Markup:
    """The settings that differ, job by job."""
    rows: list[list[Content]] = []
    for name, job in SETTINGS_OF.items():
        new, old = (_settings_of(getattr(chain, name)) for chain in (now, before))
        if new is None or old is None:
            continue
        for key in dict.fromkeys([*old, *new]):
            if key not in UNCHANGED and new.get(key) != old.get(key):
                rows.append([element("code", f"{job} {key}"), old.get(key, "not set"), new.get(key, "not set")])
    title = element("h3", "What changed in the settings")
    if not rows:
        return parts(title, paragraph("No setting differs, of those jobs whose versions both have."))
    return parts(title, table(["key", "before", "now"], rows, caption="Settings that differ", left=3))


def _settings_of(version: Version | None) -> dict[str, str] | None:
    """The flat settings of a version; None where there is none."""
    settings = None if version is None else version.meta.get("settings")
    return flat_settings(settings) if isinstance(settings, dict) and settings else None


def _data(now: Chain, before: Chain) -> Markup:
    """The numbers of the datasets that differ."""
    title = element("h3", "What changed in the data")
    if now.dataset is None or before.dataset is None:
        return parts(title, absent("One of the two has no dataset any more."))
    if now.dataset.path == before.dataset.path:
        return parts(title, paragraph("Both are of the same dataset."))
    new, old = (flatten(version.read_json(STATS)) for version in (now.dataset, before.dataset))
    rows = [
        [
            key.replace(".", ", ").replace("_", " "),
            _number(old.get(key)),
            _number(new.get(key)),
            _difference(new.get(key), old.get(key)),
        ]
        for key in dict.fromkeys([*old, *new])
        if new.get(key) != old.get(key)
    ]
    if not rows:
        return parts(title, paragraph("The counts of both datasets are the same."))
    return parts(title, table(["count", "before", "now", "difference"], rows, caption="Counts that differ"))


def _metrics(now: Chain, before: Chain) -> Markup:
    """The metrics of both, and their paired difference."""
    title = element("h3", "What changed in the metrics")
    if now.evaluation is None or before.evaluation is None:
        return parts(title, absent("One of the two has no evaluation: run evaluate for it."))
    new, old = (version.read_json(METRICS).get("metrics") for version in (now.evaluation, before.evaluation))
    if not new or not old:
        return parts(title, absent("One of the two evaluations has no metrics."))
    said = [paired_sentence(compare_evaluations(now.evaluation, before.evaluation))]
    for key in ("split", "dataset"):
        ours, theirs = (version.meta.get(key) for version in (now.evaluation, before.evaluation))
        if ours != theirs:
            said.insert(0, f"The {key} is {ours} now and was {theirs}: a difference may come from that alone.")
    return parts(title, paragraph(*said), changes_table(new, old))


def _shown_lists(now: Chain, before: Chain, titles: Titles) -> Markup:
    """The lists, or why they can't be compared."""
    title = element("h3", "What changed in users' lists")
    try:
        return parts(title, _lists(now, before, titles))
    except UserError as error:
        return parts(title, absent(f"The lists can't be compared: {error}."))


def _lists(now: Chain, before: Chain, titles: Titles) -> Markup:
    """How much of the lists is the same, what gains and loses, and the users for whom most changed."""
    if now.lists is None or before.lists is None:
        return absent("One of the two has no lists: run batch_recommend for it.")
    if now.lists.path == before.lists.path:
        return paragraph("Both are the same lists.")
    new, old, sampled = _read_both(now.lists, before.lists)
    if new.users.type != old.users.type or new.ids.type != old.ids.type:
        return absent("The ids of the two are of different types, so that users and items can't be matched.")
    both = overlap(new, old, sampled=sampled)
    if not len(both.users):
        return absent("No user has a list in both.")
    return parts(
        paragraph(*_overlap_sentences(both)),
        charts(_overlap_chart(both)),
        _moves(both, titles),
        _changed_users(now.lists, before.lists, both, titles),
    )


def _read_both(now: Version, before: Version) -> tuple[FirstItems, FirstItems, bool]:
    """The first items of both, and whether of a sample of the users: the same one for both."""
    rows = max(int(version.meta.get("tables", {}).get(LISTS, {}).get("rows", 0)) for version in (now, before))
    new, old = (read_first_items(files.join(version.path, LISTS), rows=rows) for version in (now, before))
    return new, old, rows > MOST_USERS


def _overlap_sentences(both: Overlap) -> list[str]:
    """The overlap in words."""
    shares = both.shares
    said = [
        f"Overlap@{FIRST} is the share of a user's first {FIRST} items that both lists have, in whatever order.",
        f"Its mean over {counted(len(shares), 'user')} of both is {percent(float(shares.mean()))}; "
        f"{percent(float((shares == 1).mean()))} of them have the same {FIRST} items, "
        f"{percent(float((shares == 0).mean()))} have none in common, and {percent(both.same_first)} have the same first item.",
    ]
    if both.sampled:
        said.append("The users are a sample, drawn by a hash of their ids.")
    for number, words in ((both.only_now, "now alone"), (both.only_before, "before alone")):
        if number:
            said.append(f"{counted(number, 'user')} had a list {words}.")
    return said


def _overlap_chart(both: Overlap) -> Markup:
    """How many users have how many items in common."""
    users = [float((both.common == number).sum()) for number in range(FIRST + 1)]
    described = f"Users by how many of their first {FIRST} items are in both lists; further to the right is more alike."
    labels = Labels(title=f"Overlap of the first {FIRST}", description=described, across="items in common", up="users")
    points = [(float(number), count) for number, count in enumerate(users)]
    return bar_chart([str(number) for number in range(FIRST + 1)], [Series(name="users", points=points)], labels)


def _moves(both: Overlap, titles: Titles) -> Markup:
    """The items that gain and lose most users."""
    tables = [
        table(["item", "users"], [[titles.shown(item), f"{change:+,}"] for item, change in changes], caption=caption)
        for changes, caption in ((both.gains, "Items that more users get now"), (both.losses, "Items that fewer users get now"))
        if changes
    ]
    return element("div", *tables, class_="cards")


def _changed_users(now: Version, before: Version, both: Overlap, titles: Titles) -> Markup:
    """The users whose lists have least in common, with both lists."""
    users = both.changed_most(SHOWN_USERS)
    new, old = (rows_of(files.join(version.path, LISTS), users) for version in (now, before))
    cards = [_changed_user(user, new[user]["items"][:LISTED], old[user]["items"][:LISTED], titles) for user in users]
    return parts(element("h4", "The users for whom most changed"), element("div", *cards, class_="cards"))


def _changed_user(user: Id, new: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]], titles: Titles) -> Markup:
    """A user's two lists; what one has alone is in bold letters."""

    def entries(these: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> Markup:
        there = {entry["item_id"] for entry in others}
        ids = [entry["item_id"] for entry in these]
        return listing(
            (element("span", titles.shown(item), class_=None if item in there else "new") for item in ids), ordered=True
        )

    lists = (("Before", entries(old, new)), ("Now", entries(new, old)))
    shown = (element("div", element("h4", name), entry_list) for name, entry_list in lists)
    return element("div", element("h3", f"User {user}"), element("div", *shown, class_="lists"), class_="card")


def _number(value: Any) -> str:
    """A count as people read it."""
    return "–" if value is None else grouped(value) if isinstance(value, int | float) else str(value)


def _difference(new: Any, old: Any) -> str:
    """The difference of two numbers."""
    if not all(isinstance(value, int | float) for value in (new, old)):
        return "–"
    return f"{'+' if new > old else '−'}{grouped(abs(new - old))}"
