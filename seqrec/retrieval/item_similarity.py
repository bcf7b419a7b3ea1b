"""A version of similar_items: what a dataset's events say about which items are alike."""

import logging
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.retrieval import item_cf, swing
from seqrec.retrieval.activity import item_users, sample_users, user_items
from seqrec.retrieval.best_neighbours import best_neighbours
from seqrec.retrieval.pairs import Workload, estimate, guard_pairs
from seqrec.storage import files, versions
from seqrec.tables import io, schemas

log = logging.getLogger("seqrec")

TABLE = "similar_items"
PAIRS = {"item_cf": item_cf.item_pairs, "swing": swing.user_pairs}
PAIRS_PER_TASK = {"item_cf": item_cf.PAIRS_PER_TASK, "swing": swing.PAIRS_PER_TASK}


def read_events(spark: SparkSession, dataset: str, *, history: str) -> DataFrame:
    """user_id and item_idx of a dataset's version: of its training events, or of all for history full."""
    user = schemas.IDS[versions.read_meta(dataset, "dataset")["id_types"]["user"]]
    path = files.join(dataset, "events")
    events = io.read_table(spark, path, schemas.events(user))
    events = events if history == "full" else events.where(F.col("split") == "train")
    if events.isEmpty():
        raise UserError(
            f"{path} has no {'' if history == 'full' else 'training '}events: build it with another task, or history=full"
        )
    return events.select("user_id", "item_idx")


def similar_items(
    events: DataFrame,
    items: DataFrame,
    *,
    method: str,
    top_n: int,
    min_user_items: int,
    max_user_items: int | None,
    max_users_per_item: int | None,
    max_pairs: int,
    seed: int,
    **smoothing: float,
) -> tuple[DataFrame, Workload]:
    """Act, to know the work before it is done: the table similar_items, not yet computed, and its workload.

    Events have user_id and item_idx, repeated or not; smoothing are alpha1, alpha2 and beta of swing. Caches; call it within
    `session.working`. Raises UserError for limits that leave nothing, and for more pairs than allowed.
    """
    users = user_items(events, min_user_items=min_user_items, max_user_items=max_user_items).persist()
    activity = item_users(users).persist()
    found = estimate(activity, pairs=PAIRS[method], max_users_per_item=max_users_per_item)
    numbers = (f"{number:,}" for number in (found.interactions, found.items, found.pairs))
    log.info("%s: %s interactions with %s items within the limits, about %s pairs", method, *numbers)
    guard_pairs(found, method=method, max_users_per_item=max_users_per_item, max_pairs=max_pairs)
    tasks = max(events.sparkSession.sparkContext.defaultParallelism, -(-found.pairs // PAIRS_PER_TASK[method]))
    samples = sample_users(users, max_users_per_item=max_users_per_item, seed=seed).repartition(
        min(tasks, found.items), "item_idx"
    )
    if method == "swing":
        scores = swing.swing(samples, items=activity, top_n=top_n, **smoothing)
    else:
        scores = item_cf.item_cf(samples, items=activity, max_users_per_item=max_users_per_item, most_users=found.most_users)
    return best_neighbours(scores, items=items, top_n=top_n), found


def write_version(
    spark: SparkSession, folder: str, *, dataset: str, method: str, history: str, facts: dict[str, Any], **settings: Any
) -> dict[str, int]:
    """Act: write similar_items of a dataset's version, with a meta.json, into a version folder; returns the counts in it.

    `settings` are those of `similar_items`; `facts` (run_id at least) go into the meta.json.
    """
    meta = versions.read_meta(dataset, "dataset")
    item = schemas.IDS[meta["id_types"]["item"]]
    items = io.read_table(spark, files.join(dataset, "items"), schemas.items(item))
    events = read_events(spark, dataset, history=history)
    similar, found = similar_items(events, items, method=method, **settings)
    path = files.join(folder, TABLE)
    io.write_table(similar.repartition("item_id"), path, schemas.similar_items(item))  # in few files
    written = io.open_table(spark, path).agg(F.count(F.lit(1)), F.coalesce(F.sum(F.size("items")), F.lit(0))).collect()[0]
    counts = {"items": written[0], "neighbours": written[1], "interactions": found.interactions, "pairs": found.pairs}
    origin = {"dataset": meta["run_id"], "id_types": meta["id_types"], "vocabulary": meta["vocabulary"]}
    versions.write_meta(folder, {**origin, "method": method, "history": history, **facts, "counts": counts})
    return counts


def guard_method(output: str, method: str) -> None:
    """Raise UserError if the folder's current version is another method's, so that a reader of the one never gets the other."""
    if not files.exists(files.join(output, versions.CURRENT)):
        return
    found = versions.read_meta(versions.resolve(output)).get("method")
    if found != method:
        raise UserError(f"{output} holds {found or 'something else'}, not {method}: pass output=FOLDER, one for each method")
