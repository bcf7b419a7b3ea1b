"""What an evaluation counts: held-out users, ranks of their targets, and metrics of the ranks.

A ranked table has one row a user: user_id, target (item_idx), rank (bigint, from 1; 0 is a miss) and items, the best first
(item indices, or structs of item_id and score). Everything is summed in Spark; the driver sees a histogram of ranks alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from seqrec.errors import UserError
from seqrec.evaluation import baselines
from seqrec.metrics import CUTOFFS, MISS, rank_metrics
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import rank_users
from seqrec.serving import exports, sealed
from seqrec.storage import files, versions
from seqrec.tables import io, schemas

COVERED = 10  # places of a list that count for the coverage
COVERAGE = f"coverage@{COVERED}"
LABELS = {
    "users": "users",
    "misses": "targets without a training event (misses)",
    "ndcg": "NDCG@",
    "hit_rate": "hit rate = recall@",
    "mrr": "MRR@",
    "rank100": "rank100 (targets in the first 100)",
    "rank100_share": "rank100, share of users",
    COVERAGE: f"coverage (catalogue in the first {COVERED})",
}


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The held-out users of a dataset's split (schemas.held_out), its items, and its meta.json."""

    users: DataFrame
    items: DataFrame
    events: DataFrame
    split: str
    meta: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The ranked table of a method, what the method was made from, and the length of the lists where it is no more than lists."""

    name: str
    table: DataFrame
    source: dict[str, Any] = field(default_factory=dict)
    listed: int | None = None


def open_held_out(spark: SparkSession, data: str, *, split: str, sample_users: int | None, seed: int) -> HeldOut:
    """Act: a split of the dataset's current version, or a sample of its users; UserError if it holds nobody out."""
    path = versions.resolve(data)
    meta = versions.read_meta(path, "dataset")
    user, item = (schemas.IDS[meta["id_types"][kind]] for kind in ("user", "item"))
    users = io.read_table(spark, files.join(path, split), schemas.held_out(user))
    if users.isEmpty():
        raise UserError(f"{files.join(path, split)} holds nobody out (task {meta['task']}): take the other split or another task")
    return HeldOut(
        users=sample(users, users=sample_users, seed=seed).persist(),
        items=io.read_table(spark, files.join(path, "items"), schemas.items(item)),
        events=io.read_table(spark, files.join(path, "events"), schemas.events(user)),
        split=split,
        meta=meta,
    )


def rank_by_model(
    spark: SparkSession, held_out: HeldOut, model: str, exported: str, *, batch_users: int, block_items: int
) -> Ranked:
    """Ranks by the export in the folder `exported`: `model` itself, or one of `model` that only the driver has.

    Raises UserError if the model's vocabulary isn't the dataset's, or if its files aren't of one export.
    """
    meta = exports.read_sealed(exported)
    sealed.check_lineage(meta, held_out.meta)
    shipped = ship(spark, exported, private=exported != model)
    ranked = rank_users(held_out.users, model=shipped, top_k=COVERED, batch_users=batch_users, block_items=block_items)
    known = io.read_parquet(spark, files.join(model, sealed.VOCABULARY))
    name = baselines.result_name(meta["name"], kind="model")
    return Ranked(name=name, table=count_misses(ranked, known), source=exports.origin(meta))


def rank_by_table(spark: SparkSession, held_out: HeldOut, folder: str) -> Ranked:
    """Act: ranks in the lists of batch_recommend; UserError if they were made for something else, or scores aren't finite."""
    path = versions.resolve(folder)
    meta = versions.read_meta(path, "recommendations")
    check_table(meta, path=path, split=held_out.split, dataset=held_out.meta["run_id"])
    user, item = held_out.users.schema["user_id"].dataType, held_out.items.schema["item_id"].dataType
    lists = io.read_table(spark, files.join(path, "recommendations"), schemas.recommendations(user, item))
    require_finite(lists, path)
    ranked = rank_lists(held_out.users, lists, held_out.items, top_k=meta["top_k"], subset=meta["users"] is not None)
    source = {"model": meta["model"], "model_run_id": meta["model_run_id"], "table": meta["run_id"]}
    return Ranked(
        name=f"{meta['model']} (table)", table=count_misses(ranked, held_out.items), source=source, listed=meta["top_k"]
    )


def rank_by_popularity(held_out: HeldOut) -> Ranked:
    """Ranks by baselines.popularity."""
    ranked = baselines.popularity(held_out.users, items=held_out.items)
    return Ranked(name="popularity", table=count_misses(ranked, held_out.items))


def rank_by_markov(held_out: HeldOut) -> Ranked:
    """Ranks by baselines.markov."""
    ranked = baselines.markov(held_out.users, items=held_out.items, events=held_out.events)
    return Ranked(name="markov", table=count_misses(ranked, held_out.items))


def sample(held_out: DataFrame, *, users: int | None, seed: int) -> DataFrame:
    """As many users, all if None: those whose ids hash lowest with the seed, whatever the partitioning."""
    if users is None:
        return held_out
    return held_out.orderBy(F.xxhash64(F.lit(seed), "user_id"), "user_id").limit(users)


def count_misses(ranked: DataFrame, items: DataFrame) -> DataFrame:
    """Rank 0 for targets without a training event: those whose `count` in items (item_idx, count) is 0, or that it lacks."""
    trained = items.where("count > 0").select(F.col("item_idx").alias("target"), F.lit(True).alias("trained"))
    rank = F.when(F.col("trained"), F.col("rank")).otherwise(F.lit(MISS).cast("bigint"))
    return ranked.join(trained, "target", "left").select("user_id", "target", rank.alias("rank"), "items")


def rank_lists(held_out: DataFrame, recommendations: DataFrame, items: DataFrame, *, top_k: int, subset: bool) -> DataFrame:
    """Ranks in finished lists (user_id, items of item_id and score): the number of entries that score at least the target's.

    A target outside its list has rank top_k + 1, so metrics hold up to top_k; so has one of a user without a list, unless the
    lists are of a `subset`: then the others aren't evaluated.
    """
    targets = items.select(F.col("item_idx").alias("target"), F.col("item_id").alias("target_id"))
    lists = recommendations.select("user_id", F.col("items").alias("listed"))
    users = held_out.select("user_id", "target").join(targets, "target").join(lists, "user_id", "inner" if subset else "left")
    listed = F.coalesce("listed", F.array().cast(recommendations.schema["items"].dataType))
    own = F.filter("listed", lambda entry: entry["item_id"] == F.col("target_id"))
    ahead = F.size(F.filter("listed", lambda entry: entry["score"] >= F.col("own")))
    return (
        users.select("user_id", "target", "target_id", listed.alias("listed"))
        .withColumn("own", F.get(own, F.lit(0))["score"])
        .withColumn("rank", F.when(F.col("own").isNull(), top_k + 1).otherwise(ahead).cast("bigint"))
        .select("user_id", "target", "rank", F.col("listed").alias("items"))
    )


def require_finite(recommendations: DataFrame, path: str) -> None:
    """Act: raise UserError, with a count, if scores of the lists aren't finite."""
    broken = F.exists("items", lambda entry: F.isnan(entry["score"]) | (F.abs(entry["score"]) == float("inf")))
    users = recommendations.where(broken).count()
    if users:
        raise UserError(f"{path}: the lists of {users} users have scores that aren't finite: run batch_recommend again")


def measure(ranked: Ranked, *, catalogue: int, cutoffs: Sequence[int] = CUTOFFS) -> dict[str, float]:
    """Act: users, misses and the metrics of a ranked table, means over all its users, misses included.

    Coverage is the share of the catalogue's items that are among the first 10 of anybody's list. Where ranks come from lists,
    what looks further down than they reach isn't known and is left out. Raises UserError for scores that aren't finite.
    """
    deepest = max(*cutoffs, max(CUTOFFS))
    depth = ranked.listed or deepest
    shown = F.least("rank", F.lit(deepest + 1)).alias("rank")
    try:
        histogram = ranked.table.groupBy(shown).agg(F.count("*").alias("users")).collect()
    except PythonException as error:
        if "not finite" not in str(error):
            raise
        raise UserError(f"{ranked.name} gives scores that aren't finite: train it again with a lower optimizer.lr") from None
    if not histogram:
        raise UserError(f"{ranked.name} has a list for none of the held-out users: evaluate one made for users that it holds out")
    ranks, counts = (np.array([row[column] for row in histogram], dtype=np.int64) for column in ("rank", "users"))
    known = rank_metrics(ranks, counts=counts, cutoffs=tuple(cutoff for cutoff in cutoffs if cutoff <= depth))
    if depth < max(CUTOFFS):
        del known["rank100"], known["rank100_share"]
    if depth >= COVERED:
        entries = ranked.table.select(F.explode(F.slice("items", 1, COVERED)).alias("item"))
        item = "item.item_id" if isinstance(entries.schema["item"].dataType, StructType) else "item"
        known[COVERAGE] = entries.select(item).distinct().count() / catalogue
    return known


def write_metrics(metrics: dict[str, Any], path: str) -> None:
    """Write PATH/metrics.json."""
    files.write_text(files.join(path, "metrics.json"), json.dumps(metrics, indent=2) + "\n")


def write_predictions(ranked: Ranked, held_out: HeldOut, path: str) -> None:
    """Act: write the table predictions of a method whose lists have original ids."""
    user, item = held_out.users.schema["user_id"].dataType, held_out.items.schema["item_id"].dataType
    io.write_table(predictions(ranked.table, held_out.items), path, schemas.predictions(user, item))


def predictions(ranked: DataFrame, items: DataFrame) -> DataFrame:
    """The ranked table of a model with its targets' original ids, as schemas.predictions; the first 10 of a list."""
    ids = items.select(F.col("item_idx").alias("target"), "item_id")
    best = F.slice("items", 1, COVERED).cast(ranked.schema["items"].dataType)
    named = ranked.join(ids, "target")
    return named.select("user_id", F.col("item_id").alias("target"), "rank", best.alias("items"))


def check_table(meta: dict[str, object], *, path: str, split: str, dataset: str, job: str = "batch_recommend") -> None:
    """Raise UserError if lists weren't made for this split of this dataset, with the seen items left out."""
    if meta["history"] != split:
        raise UserError(f"{path} was made with history={meta['history']}, not {split}: run {job} history={split}")
    if meta["dataset"] != dataset:
        raise UserError(f"{path} was made from dataset {meta['dataset']}, not {dataset}: pass data=FOLDER/{meta['dataset']}")
    if not meta["filter_seen"]:
        raise UserError(f"{path} was made with filter_seen=false: metrics are of lists without seen items")


def show(results: Mapping[str, Mapping[str, float]]) -> str:
    """Metrics as lines, one column a method; a dash where a method doesn't have one.

    >>> print(show({"popularity": {"users": 3.0, "ndcg@10": 0.5}, "markov": {"users": 3.0}}))
             popularity  markov
    users             3       3
    NDCG@10      0.5000       -
    """
    kinds = list(LABELS)
    found = {name for metrics in results.values() for name in metrics}
    names = sorted(found, key=lambda name: (kinds.index(_kind(name)), int(name.partition("@")[2] or 0)))
    labels = ["", *(LABELS[_kind(name)] + ("" if name in LABELS else name.partition("@")[2]) for name in names)]
    columns = [[method, *(_number(name, metrics.get(name)) for name in names)] for method, metrics in results.items()]
    aligned = [[cell.rjust(max(map(len, column))) for cell in column] for column in columns]
    aligned.insert(0, [label.ljust(max(map(len, labels))) for label in labels])
    return "\n".join("  ".join(cells) for cells in zip(*aligned, strict=True))


def _kind(name: str) -> str:
    return name if name in LABELS else name.partition("@")[0]


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if name in ("users", "misses", "rank100") else f"{value:.4f}"
