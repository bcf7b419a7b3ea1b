"""Which of a user's ratings are events, which split each event is in, and which ratings make up the history.

Histories that are cached and partitioned by user stay in their partitions.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.clean import unpack, without_repeats
from seqrec.dataset.splits import Split


def arrange(histories: DataFrame, items: DataFrame, *, split: Split, users: int, collapse: bool = False) -> DataFrame:
    """A row for each user, from histories (see `clean`) and items: item_id, core, and `item`, the id or index for the arrays.

    all                               an array as long as the user's ratings; null for an item that isn't in the vocabulary
    items, timestamps                 of the history, what belongs in `sequences`: good ratings of the vocabulary's items
    event_items, event_ratings,       of the events, which are learned from or held out: good ratings whose item and user are in
    event_timestamps, event_ordinals  the k-core, see `_choose_events`; an ordinal counts all the user's ratings before it
    train_length, tested              how many events are trained on, which come first; how many lie before the first of the test
    outside_core, unknown_after_cut   how many good ratings are no events: before the first cut (or without one), and from it on

    Collapse leaves only the first of neighbours with the same item in events and histories; the k-core counts all of them.
    """
    core = F.coalesce("core", F.lit(False))
    named = unpack(histories).join(items.select("item_id", "item", "core"), "item_id", "left").withColumn("core", core)
    entry = F.struct("ordinal", "item", "core", "good", "rating", "timestamp")
    early = F.col("good") if split.first_cut is None else F.col("good") & (F.col("timestamp") < split.first_cut)
    lists = named.groupBy("user_id").agg(
        F.sort_array(F.collect_list(entry)).alias("entries"),
        F.count_if("good").alias("good"),
        F.count_if(F.col("good") & F.col("core")).alias("learnable"),
        F.count_if(F.col("good") & F.col("item").isNotNull()).alias("in_vocabulary"),
        F.count_if(early).alias("good_early"),
        F.count_if(early & F.col("core")).alias("core_early"),
    )
    return _arranged_columns(_choose_events(lists, users=users, split=split, collapse=collapse), split=split)


def learnable_items(first_cut: int | None) -> Column:
    """Of histories: the items of the good ratings, of those before the first cut where there is one (epoch ms)."""
    if first_cut is not None:
        return F.filter("items", lambda _, i: F.get("good", i) & (F.get("timestamps", i) < first_cut))
    all_good = F.col("learnable") == F.size("items")
    return F.when(all_good, F.col("items")).otherwise(F.filter("items", lambda _, i: F.get("good", i)))


def _choose_events(entries: DataFrame, *, users: int, split: Split, collapse: bool) -> DataFrame:
    """Add the history and the events of a user's entries.

    A user with at least `users` ratings in the core has events, as the k-core demands. With a first cut only the ratings before
    it count, and users without a good one before it have events too: the k-core never saw them, so they can only be tested on.
    """
    member = F.col("core_early") >= users
    if split.first_cut is not None:
        member |= F.col("good_early") == 0
    learnable = F.filter("entries", lambda entry: entry.good & entry.core)
    history = F.filter("entries", lambda entry: entry.good & entry.item.isNotNull())
    all_learnable, all_in_vocabulary = (F.col(name) == F.size("entries") for name in ("learnable", "in_vocabulary"))
    chosen = entries.withColumns(  # where all entries pass there is nothing to filter
        {
            "events": F.when(~member, F.slice("entries", 1, 0)).when(all_learnable, F.col("entries")).otherwise(learnable),
            "history": F.when(all_in_vocabulary, F.col("entries")).otherwise(history),
        }
    )
    if not collapse:
        return chosen
    return chosen.withColumns({name: without_repeats(name, lambda entry: entry.item) for name in ("history", "events")})


def _arranged_columns(chosen: DataFrame, *, split: Split) -> DataFrame:
    """The columns of `arrange`."""
    events = F.col("events")
    train, valid = split.lengths(events)
    missed_early = F.col("good_early") - _count_early(events, split.first_cut)
    return chosen.select(
        "user_id",
        F.col("entries.item").alias("all"),
        F.col("history.item").alias("items"),
        F.col("history.timestamp").alias("timestamps"),
        events.item.alias("event_items"),
        events.rating.alias("event_ratings"),
        events.timestamp.alias("event_timestamps"),
        events.ordinal.alias("event_ordinals"),
        train.alias("train_length"),
        (train + valid).alias("tested"),
        missed_early.alias("outside_core"),
        (F.col("good") - F.size(events) - missed_early).alias("unknown_after_cut"),
    )


def _count_early(entries: Column, first_cut: int | None) -> Column:
    """How many entries lie before the first cut; all, if there is none."""
    return F.size(entries if first_cut is None else F.filter(entries, lambda entry: entry.timestamp < first_cut))
