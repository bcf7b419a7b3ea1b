"""A version of similar_items: what a dataset's events say about which items are alike.

    with similar_items(events, dataset.items, method=methods(smoothing)["swing"], limits=limits, top_n=100) as (table, workload):
        io.write_table(table, path, schema)

A method scores pairs of items; what comes before (whose items count, the sample, the guard) and after (the best of each item) is
the same for all of them.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.command.bars import working_on
from seqrec.errors import UserError
from seqrec.retrieval import item_cf, swing
from seqrec.retrieval.activity import Limits, Sample, item_users, sample_users, user_items
from seqrec.retrieval.pairs import Workload, estimate, guard_pairs
from seqrec.retrieval.swing import Smoothing
from seqrec.storage import files, versions
from seqrec.storage.candidate_metadata import SimilarItemsMeta
from seqrec.storage.draft import Draft
from seqrec.tables import io, schemas
from seqrec.tables.datasets import Dataset

log = logging.getLogger("seqrec")

TABLE = "similar_items"


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to score pairs of items, and what its work is counted in.

    `pairs` gives an item's number of pairs for a cap on its users; `score` gives item_idx, neighbour and score, partitioned by
    item_idx.
    """

    name: str
    pairs: Callable[[int | None], Column]
    pairs_per_task: int
    score: Callable[[Sample], DataFrame]


def methods(smoothing: Smoothing) -> dict[str, Method]:
    """The methods by name; the smoothing is swing's."""
    by_users = partial(swing.swing, smoothing=smoothing)
    return {
        "item_cf": Method(name="item_cf", pairs=item_cf.item_pairs, pairs_per_task=item_cf.PAIRS_PER_TASK, score=item_cf.item_cf),
        "swing": Method(name="swing", pairs=swing.user_pairs, pairs_per_task=swing.PAIRS_PER_TASK, score=by_users),
    }


def select_events(dataset: Dataset, *, history: str) -> DataFrame:
    """Act: user_id and item_idx of a dataset's training events, or of all for history full; UserError if there is none."""
    events = dataset.events if history == "full" else dataset.events.where(F.col("split") == "train")
    if events.isEmpty():
        kind = "" if history == "full" else "training "
        raise UserError(f"{dataset.table('events')} has no {kind}events: build it with another task, or history=full")
    return events.select("user_id", "item_idx")


@contextmanager
def similar_items(
    events: DataFrame, items: DataFrame, *, method: Method, limits: Limits, top_n: int
) -> Iterator[tuple[DataFrame, Workload]]:
    """Act, to estimate the work: the table similar_items, not yet computed, and its workload.

    Events have user_id and item_idx, repeated or not. Caches what it computes twice until the context ends; enter it within
    `session.working`. Raises UserError for limits that leave nothing, and for more pairs than allowed.
    """
    users = user_items(events, min_user_items=limits.min_user_items, max_user_items=limits.max_user_items).persist()
    activity = item_users(users).persist()
    try:
        workload = _workload(activity, method, limits)
        tasks = max(events.sparkSession.sparkContext.defaultParallelism, -(-workload.pairs // method.pairs_per_task))
        sampled = sample_users(users, max_users_per_item=limits.max_users_per_item, seed=limits.seed)
        sample = Sample(
            users=sampled.repartition(min(tasks, workload.items), "item_idx"),
            items=activity,
            max_users_per_item=limits.max_users_per_item,
            most_users=workload.most_users,
            top_n=top_n,
        )
        yield list_neighbours(method.score(sample), items=items, top_n=top_n), workload
    finally:
        activity.unpersist()
        users.unpersist()


def _workload(activity: DataFrame, method: Method, limits: Limits) -> Workload:
    """Act: the work that a method will have, logged; UserError if it is more than allowed, or if there is no pair."""
    workload = estimate(activity, pairs=method.pairs, max_users_per_item=limits.max_users_per_item)
    numbers = (f"{number:,}" for number in (workload.interactions, workload.items, workload.pairs))
    working_on(f"{method.name}: scoring pairs")
    log.info("%s: %s interactions with %s items within the limits, about %s pairs", method.name, *numbers)
    guard_pairs(workload, method=method.name, max_users_per_item=limits.max_users_per_item, max_pairs=limits.max_pairs)
    return workload


def list_neighbours(scores: DataFrame, *, items: DataFrame, top_n: int) -> DataFrame:
    """item_id, items: the top_n neighbours of each item that has any, by score (a float) descending, then item_id.

    Scores have item_idx, neighbour and score; partitioned by item_idx they aren't shuffled. Items map item_idx to item_id.
    """
    ids = items.select("item_idx", "item_id")
    named = scores.join(ids.select(F.col("item_idx").alias("neighbour"), F.col("item_id").alias("neighbour_id")), "neighbour")
    entry = F.struct((-F.col("score").cast("float")).alias("less"), F.col("neighbour_id").alias("item_id"))
    lists = named.groupBy("item_idx").agg(F.slice(F.sort_array(F.collect_list(entry)), 1, top_n).alias("entries"))
    best = F.transform("entries", lambda entry: F.struct(entry.item_id.alias("item_id"), (-entry.less).alias("score")))
    return lists.join(ids, "item_idx").select("item_id", best.alias("items"))


def write_similar_items(
    draft: Draft, dataset: Dataset, *, history: str, method: Method, limits: Limits, top_n: int
) -> dict[str, int]:
    """Act: write similar_items of a dataset, with a meta.json, into a version; returns the counts in it.

    History is train or full: whether the held-out events count too.
    """
    events, path = select_events(dataset, history=history), files.join(draft.path, TABLE)
    with similar_items(events, dataset.items, method=method, limits=limits, top_n=top_n) as (similar, workload):
        io.write_table(similar.repartition("item_id"), path, schemas.similar_items(dataset.item))  # in few files
    written = io.open_table(dataset.spark, path).agg(F.count(F.lit(1)), F.coalesce(F.sum(F.size("items")), F.lit(0))).collect()[0]
    counts = {"items": written[0], "neighbours": written[1], "interactions": workload.interactions, "pairs": workload.pairs}
    SimilarItemsMeta(
        run_id=draft.run_id,
        id_types=dataset.meta.id_types,
        dataset=dataset.meta.run_id,
        vocabulary=dataset.meta.vocabulary,
        method=method.name,
        history=history,
        counts=counts,
        settings=draft.settings,
    ).write(draft.path)
    return counts


def guard_method(output: str, method: str) -> None:
    """Raise UserError if the folder's current version is another method's, so that a reader of the one never gets the other."""
    if not files.exists(files.join(output, versions.CURRENT)):
        return
    current = versions.read_meta(versions.resolve(output)).get("method")
    if current != method:
        raise UserError(f"{output} holds {current or 'something else'}, not {method}: pass output=FOLDER, one for each method")
