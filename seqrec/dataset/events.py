"""What a user's ratings are to the dataset: events or not, their splits, the user's history.

Histories that are cached, partitioned by user, are worked on where they are.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.clean import unpack, without_repeats
from seqrec.dataset.splits import Split


def arrange(
    histories: DataFrame, items: DataFrame, *, split: Split, users: int, first_cut: int | None = None, collapse: bool = False
) -> DataFrame:
    """A row a user, of histories (see `clean`) and items: item_id, core, and label, what arrays of the result hold of an item.

    all                               an array as long as the user's ratings; null for an item that isn't known
    items, timestamps                 of the history, what belongs in `sequences`: good and known
    event_items, event_ratings,       of the events, what is learned from or held out: good, the item is in the k-core, and so
    event_timestamps, event_places    is the user, see `_choose`; a place counts all the user's ratings before it
    train_length, tested              the events that are trained on, which come first; those before the first of the test
    outside_core, unknown_after_cut   how many good ratings are no events: before the first cut (or of all), and from it on

    Collapse leaves only the first of neighbours with the same item in events and histories; the k-core counts all of them.
    """
    core = F.coalesce("core", F.lit(False))
    named = unpack(histories).join(items.select("item_id", "label", "core"), "item_id", "left").withColumn("core", core)
    entry = F.struct("place", "label", "core", "good", "rating", "timestamp")
    early = F.col("good") if first_cut is None else F.col("good") & (F.col("timestamp") < first_cut)
    lists = named.groupBy("user_id").agg(
        F.sort_array(F.collect_list(entry)).alias("entries"),
        F.count_if("good").alias("good"),
        F.count_if(F.col("good") & F.col("core")).alias("learnable"),
        F.count_if(F.col("good") & F.col("label").isNotNull()).alias("known"),
        F.count_if(early).alias("good_early"),
        F.count_if(early & F.col("core")).alias("core_early"),
    )
    return _select(_choose(lists, users=users, cut=first_cut is not None, collapse=collapse), split=split, first_cut=first_cut)


def learnable_items(first_cut: int | None) -> Column:
    """Of histories: the items of the good ratings, of those before the first cut where there is one (epoch ms)."""
    if first_cut is not None:
        return F.filter("items", lambda _, i: F.get("good", i) & (F.get("timestamps", i) < first_cut))
    whole = F.col("learnable") == F.size("items")
    return F.when(whole, F.col("items")).otherwise(F.filter("items", lambda _, i: F.get("good", i)))


def _choose(entries: DataFrame, *, users: int, cut: bool, collapse: bool) -> DataFrame:
    """Add the history and the events of a user's entries.

    A user has events who has `users` ratings in the core, as the k-core demands. With a first cut only ratings before it
    count, and users without a good one before it have events too: the k-core never saw them, and they can only be tested on.
    """
    member = F.col("core_early") >= users
    if cut:
        member |= F.col("good_early") == 0
    learnable = F.filter("entries", lambda one: one.good & one.core)
    history = F.filter("entries", lambda one: one.good & one.label.isNotNull())
    whole = {name: F.col(name) == F.size("entries") for name in ("learnable", "known")}  # then there is nothing to filter
    chosen = entries.withColumns(
        {
            "events": F.when(~member, F.slice("entries", 1, 0)).when(whole["learnable"], F.col("entries")).otherwise(learnable),
            "history": F.when(whole["known"], F.col("entries")).otherwise(history),
        }
    )
    if not collapse:
        return chosen
    return chosen.withColumns({name: without_repeats(name, lambda one: one.label) for name in ("history", "events")})


def _select(chosen: DataFrame, *, split: Split, first_cut: int | None) -> DataFrame:
    train, valid = split(F.col("events"))
    fields = {"label": "event_items", "rating": "event_ratings", "timestamp": "event_timestamps", "place": "event_places"}
    missed_early = F.col("good_early") - _early(F.col("events"), first_cut)
    return chosen.select(
        "user_id",
        F.col("entries.label").alias("all"),
        F.col("history.label").alias("items"),
        F.col("history.timestamp").alias("timestamps"),
        *(F.col(f"events.{field}").alias(name) for field, name in fields.items()),
        train.alias("train_length"),
        (train + valid).alias("tested"),
        missed_early.alias("outside_core"),
        (F.col("good") - F.size("events") - missed_early).alias("unknown_after_cut"),
    )


def _early(entries: Column, first_cut: int | None) -> Column:
    """How many lie before the first cut; all, if there is none."""
    return F.size(entries if first_cut is None else F.filter(entries, lambda one: one.timestamp < first_cut))
