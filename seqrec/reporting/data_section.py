"""Data quality: which rows were dropped and why, how long histories are, ties, and when events happened."""

from collections.abc import Mapping
from typing import Any

from seqrec.command.screen import counted, grouped
from seqrec.reporting.chain_versions import STATS, Chain, Version
from seqrec.reporting.charts import Labels, Series, bar_chart
from seqrec.reporting.event_counts import EventCounts, by_period, count_events, iso_time, length_classes
from seqrec.reporting.markup import Markup, element, facts, paragraph, table
from seqrec.reporting.sections import charts, no_version, origin, parts, percent
from seqrec.storage import files

DROPPED = {  # why rows of the input can't be used
    "bad_line": "the line can't be cut into its columns",
    "bad_bytes": "the text isn't in the encoding of the file",
    "null_user": "the user is missing",
    "null_item": "the item is missing",
    "null_timestamp": "the time is missing",
    "bad_user": "the user's id isn't of the type of the others",
    "bad_item": "the item's id isn't of the type of the others",
    "bad_rating": "the rating is no number",
    "bad_timestamp": "the time can't be read",
    "other_time_unit": "the time is in another unit than the others",
    "negative_time": "the time is negative, and the others aren't",
    "future_time": "the time is in the future",
    "far_time": "the time is far from all others",
    "outside_time_range": "the time is outside of the range that is set",
    "exact_duplicate": "the same row occurs again",
}
NOT_EVENTS = {  # why ratings are no events
    "below_min_rating": "the rating is below min_rating",
    "consecutive_duplicate": "it repeats the item before it (drop_consecutive_duplicates)",
    "outside_k_core": "its user or its item has too few ratings (k_core)",
    "unknown_after_cut": "its item first appears after the training's end",
}


def data_quality(chain: Chain) -> Markup:
    """The section."""
    dataset = chain.dataset
    if dataset is None:
        return no_version("dataset", "build_sequences input.path=FILE")
    stats = dataset.read_json(STATS)
    return parts(
        _summary(stats) if stats else None,
        _losses(stats) if stats else None,
        _held_out(stats) if stats else None,
        _pictures(dataset, stats),
        origin(dataset),
    )


def _summary(stats: Mapping[str, Any]) -> Markup:
    """What the dataset holds."""
    events, users, items = stats.get("events", {}), stats.get("users", {}), stats.get("items", {})
    per_user, times = stats.get("events_per_user", {}), stats.get("times", {})
    shown = facts(
        (name, value if isinstance(value, str) else grouped(value))
        for name, value in (
            ("users with events", users.get("with_events", 0)),
            ("items", items.get("vocabulary", 0)),
            ("events", events.get("all", 0)),
            ("events of a user, median", per_user.get("p50", 0)),
            ("events of a user, mean", per_user.get("mean", 0)),
            ("density", percent(stats.get("density", 0))),
        )
    )
    said = [
        "An event is a rating that the model learns from or is tested on.",
        "The density is the share of all pairs of a user and an item that are an event.",
    ]
    if times:
        said.append(f"The events are from {iso_time(times['first'])} to {iso_time(times['last'])}.")
    said.append(_ties(float(stats.get("equal_timestamps", 0)), ordered=bool(times)))
    return parts(shown, paragraph(*said))


def _ties(share: float, *, ordered: bool) -> str:
    """How many events tie, and what that means."""
    if not ordered:
        return "The input has no times: the order of its rows is the order of the events."
    ties = f"{percent(share)} of the ratings have the same time as the same user's rating before (ties)."
    if share < 0.01:
        return ties
    return (
        f"{ties} Their order is not known, so they are put in an order by chance: the more there are, the less there is to learn "
        "from the order of events."
    )


def _losses(stats: Mapping[str, Any]) -> Markup:
    """The rows of the input, and where those that are no events went."""
    rows, whole = stats.get("rows", {}), stats.get("rows", {}).get("in", 0)
    lost = [(_words(name, DROPPED), "dropped", number) for name, number in rows.get("dropped", {}).items() if number]
    lost += [(_words(name, NOT_EVENTS), "no event", number) for name, number in stats.get("not_events", {}).items() if number]
    left = stats.get("events", {}).get("all", 0)
    lines = [["rows of the input", "", f"{whole:,}", "100 %"]]
    lines += [[reason, kind, f"−{number:,}", percent(number / max(1, whole))] for reason, kind, number in lost]
    lines += [["events", "", f"{left:,}", percent(left / max(1, whole))]]
    said = f"Of {counted(whole, 'row')}, {left:,} became events." + ("" if lost else " No row was lost.")
    kept = paragraph(
        said,
        "A dropped row can't be used as it is; a row that is no event was left out by a setting."
        if lost
        else "Rows that can't be used, or that a setting leaves out, would be listed here by their reason.",
    )
    return parts(
        element("h3", "Rows, and why some were left out"),
        kept,
        table(["reason", "", "rows", "share"], lines, caption="From rows to events", left=2),
    )


def _held_out(stats: Mapping[str, Any]) -> Markup:
    """The events and users of each split."""
    events, users, targets = (stats.get(name, {}) for name in ("events", "users", "targets"))
    lines = [
        [split, f"{users.get(split, 0):,}", f"{events.get(split, 0):,}", f"{targets[split]:,}" if split in targets else "–"]
        for split in ("train", "valid", "test")
    ]
    said = [
        "The model learns from train; valid chooses the best checkpoint; test measures it.",
        "Targets are the held-out items that the model has to find.",
    ]
    short = users.get("too_short_to_hold_out", 0)
    if short:
        said.append(
            f"{counted(short, 'user')} had too few events to hold any out, and {'is' if short == 1 else 'are'} trained on whole."
        )
    return parts(
        element("h3", "What is held out"),
        paragraph(*said),
        table(["split", "users", "events", "targets"], lines, caption="The splits"),
    )


def _pictures(dataset: Version, stats: Mapping[str, Any]) -> Markup:
    """The charts, from one pass over the events."""
    counts = count_events(files.join(dataset.path, "events"))
    timed = bool(stats.get("times", True))
    activity = _activity(counts) if timed else paragraph("There is no picture of events over time, as the input has no times.")
    return parts(element("h3", "Histories and activity"), charts(_lengths(counts), activity))


def _lengths(counts: EventCounts) -> Markup | None:
    """The histogram of the lengths of histories."""
    classes = length_classes(counts.users_by_length)
    if not classes:
        return None
    usual, users = max(classes, key=lambda one: one[1])
    described = f"Most users ({users:,}) have {usual} events. Classes become wider to the right."
    labels = Labels(title="How long histories are", description=described, across="events of a user", up="users")
    points = [(float(place), float(number)) for place, (_, number) in enumerate(classes)]
    return bar_chart([name for name, _ in classes], [Series(name="users", points=points)], labels)


def _activity(counts: EventCounts) -> Markup | None:
    """The events of each period."""
    kind, names, by_split = by_period(counts.days)
    if not names:
        return None
    sums = [sum(column) for column in zip(*by_split.values(), strict=True)]
    highest = max(range(len(names)), key=lambda place: sums[place])
    described = f"Events of each {kind}, all splits together. The most, {sums[highest]:,}, are in {names[highest]}."
    labels = Labels(title="Activity over time", description=described, across=kind, up="events")
    points = [(float(place), float(number)) for place, number in enumerate(sums)]
    return bar_chart(names, [Series(name="events", points=points)], labels)


def _words(name: str, reasons: Mapping[str, str]) -> str:
    """A reason in a sentence, or its name where an older or newer release had another."""
    return reasons.get(name, name.replace("_", " "))
