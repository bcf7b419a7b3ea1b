"""A version of recommendations: users' lists and embeddings by an exported model, and its item embeddings beside them.

Everything is checked before anything is written: the model's files, its vocabulary against the dataset's, the lists of items, and
that there is a user to score.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from seqrec.command.bars import working_on
from seqrec.reranking.rules import Rules
from seqrec.scoring.available import count_available, mark_available
from seqrec.scoring.exclusions import hide_excluded
from seqrec.scoring.list_counts import NOTHING_LEFT, counts_of, has_field, observe_lists
from seqrec.scoring.lists import ListSettings, ListTask
from seqrec.scoring.rule_counts import count_under_rules
from seqrec.scoring.segments import SegmentFile, count_by_segment, open_segments
from seqrec.scoring.shipping import Shipped, ship
from seqrec.scoring.two_stage import Kept, OpenedSecondStage, SecondStageFolders, open_second_stage, rank_users_twice
from seqrec.scoring.udf import embed_users, pack, recommend_users
from seqrec.serving import sealed
from seqrec.serving.exports import Export, check_lineage, check_unlearned
from seqrec.serving.list_rules import ListRules
from seqrec.serving.open_rules import open_rules
from seqrec.serving.second_stage import RANKER
from seqrec.serving.topk import DEFAULT_SIZES, BlockSizes
from seqrec.storage import files
from seqrec.storage.draft import Draft
from seqrec.storage.metadata import ExplanationMeta, ListsMeta
from seqrec.tables import io, schemas
from seqrec.tables.datasets import Dataset
from seqrec.tables.histories import Subset, select_histories

log = logging.getLogger("seqrec")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How users are scored: `write` names the tables to write, `allow` and `deny` are paths of lists of items.

    With a second stage a ranker ranks the candidates of each user, and the model gives the lists of users without any. Rules put
    all lists in order again.
    """

    history: str  # full, valid or test
    lists: ListSettings
    write: Sequence[str] = ("recommendations",)
    allow: str | None = None
    deny: str | None = None
    exclude: str | None = None
    second_stage: SecondStageFolders | None = None
    rules: Rules | None = None
    segments: SegmentFile | None = None
    sizes: BlockSizes = DEFAULT_SIZES


def write_recommendations(
    draft: Draft, dataset: Dataset, export: Export, *, scoring: Scoring, generated_at: datetime, subset: Subset | None = None
) -> dict[str, int]:
    """Act: score the users of a dataset, or a subset of them, into a version; returns the counts, which its meta.json has too.

    Raises UserError, before anything is written, if the model isn't whole or has another vocabulary, if there is no user to
    score, or if the lists of items leave none.
    """
    spark, model = dataset.spark, _ship_checked(dataset, export, history=scoring.history)
    available = mark_available(spark, export, allow=scoring.allow, deny=scoring.deny)
    histories, lists = _choose_histories(dataset, export, scoring, subset)
    if (rules := _open_rules(spark, export, scoring)) is not None:
        lists = replace(lists, rules=_shared(spark, rules))
    second, explanation = _open_second(dataset, scoring), scoring.lists.explanation
    stamps = {"model": _made_by(export, second), "run_id": F.lit(draft.run_id), "generated_at": F.lit(generated_at)}
    scored = _score(histories, model, replace(scoring, lists=lists), available, second).withColumns(stamps)
    working_on("scoring the users")
    copied = copy_item_embeddings(spark, export, draft.path)
    recommendable = count_available(spark, export, available)
    full = min(lists.top_k, recommendable)
    counts = write_scored(scored, draft.path, item=dataset.item, write=scoring.write, full=full) | {"item_embeddings": copied}
    counts |= {} if scoring.lists.horizon is None else {"repeated": count_repeated(histories)}
    if rules is not None:
        counts |= count_under_rules(io.open_table(spark, files.join(draft.path, "recommendations")), rules, counts, full=full)
    ListsMeta(
        run_id=draft.run_id,
        id_types=dataset.meta.id_types,
        dataset=dataset.meta.run_id,
        history=scoring.history,
        filter_seen=scoring.lists.filter_seen,
        top_k=scoring.lists.top_k,
        horizon=scoring.lists.horizon,
        model=export.meta.name,
        model_run_id=export.meta.run_id,
        export=export.meta.export,
        checkpoint=export.meta.checkpoint,
        users=subset.named if subset else None,
        available=recommendable,
        second_stage=None if second is None else second.described,
        reranked=scoring.rules is not None,
        explanation=None if explanation is None else ExplanationMeta(most=explanation.most, by=explanation.by),
        counts=counts,
        settings=draft.settings,
    ).write(draft.path)
    return counts


def _made_by(export: Export, second: OpenedSecondStage | None) -> Column:
    """The name of what made a list: the model's, or the ranker's where it ranked."""
    name = F.lit(export.meta.name)
    return name if second is None else F.when(F.col("source") == RANKER, second.described.name).otherwise(name)


def _choose_histories(
    dataset: Dataset, export: Export, scoring: Scoring, subset: Subset | None
) -> tuple[DataFrame, ListSettings]:
    """Act: the histories to score, with segments and what is excluded, and the settings of lists that go with them."""
    segments, lists = None if scoring.segments is None else open_segments(dataset, scoring.segments), scoring.lists
    histories = select_histories(dataset, history=scoring.history, users=subset.users if subset else None, further=segments)
    if segments is not None:
        histories = histories.join(segments, "user_id", "left")
        lists = replace(lists, segments=_shared(dataset.spark, count_by_segment(dataset, segments)))
    if scoring.exclude is not None:
        known = io.read_parquet(dataset.spark, export.vocabulary)
        histories = hide_excluded(histories, dataset, scoring.exclude, vocabulary=known, filter_seen=lists.filter_seen)
        lists = replace(lists, filter_seen=True)
    return histories, lists


def _ship_checked(dataset: Dataset, export: Export, *, history: str) -> Shipped:
    """The model, on every executor; UserError unless all its files are whole and its vocabulary is the dataset's."""
    if newer := check_lineage(export.meta, dataset.meta):
        log.warning("%s items of the dataset are newer than the model: they are ignored as input", f"{newer:,}")
    if history != "full":
        check_unlearned(f"the model {export.meta.name}", export.meta, dataset.meta, split=history)
    model = ship(dataset.spark, export)
    sealed.verify_embeddings(export.path, export.meta.files)
    return model


def _open_rules(spark: SparkSession, export: Export, scoring: Scoring) -> ListRules | None:
    """Act: the rules with the columns of items that they name, which a line of the log describes; None without rules."""
    if scoring.rules is None:
        return None
    ids = io.read_parquet(spark, export.vocabulary).orderBy("item_idx").select("item_id").toArrow()["item_id"]
    kind = pa.int64() if export.meta.id_types.item == "bigint" else pa.string()
    opened = open_rules(scoring.rules, pa.concat_arrays(ids.cast(kind).chunks))
    if opened.words:
        log.info("rerank: %s", opened.words)
    return opened


def _shared(spark: SparkSession, value: T) -> Callable[[], T]:
    """A value, broadcast: Python's workers call this once for each task."""
    shared = spark.sparkContext.broadcast(value)
    return lambda: shared.value


def _open_second(dataset: Dataset, scoring: Scoring) -> OpenedSecondStage | None:
    """The second stage, checked; None without one."""
    folders = scoring.second_stage
    return None if folders is None else open_second_stage(dataset, folders, history=scoring.history, top_k=scoring.lists.top_k)


def _score(
    histories: DataFrame,
    model: Shipped,
    scoring: Scoring,
    available: NDArray[np.bool_] | None,
    second: OpenedSecondStage | None,
) -> DataFrame:
    """Users' lists, with their embeddings if both are written, or the embeddings alone; not yet computed."""
    if second is not None:
        fallback = ListTask(model=model, lists=scoring.lists, available=pack(available), sizes=scoring.sizes)
        kept = Kept(allow=scoring.allow, deny=scoring.deny, excluded=scoring.exclude is not None)
        return rank_users_twice(histories, second, fallback=fallback, kept=kept)
    if "recommendations" not in scoring.write:
        return embed_users(histories, model=model, sizes=scoring.sizes)
    return recommend_users(
        histories,
        model=model,
        lists=scoring.lists,
        available=available,
        embeddings="user_embeddings" in scoring.write,
        sizes=scoring.sizes,
    )


def write_scored(scored: DataFrame, folder: str, *, item: DataType, write: Sequence[str], full: int) -> dict[str, int]:
    """Act: write those of the tables recommendations and user_embeddings that `write` names; returns their counts.

    `scored` is what recommend_users or embed_users gives, with model, run_id and generated_at. With both tables, it is kept on
    the executors' disks, so that it isn't computed twice. Empty lists get the source `none`; what else is counted, of lists that
    are full with so many items, `observe_lists` says.
    """
    user = scored.schema["user_id"].dataType
    scored = scored.persist(StorageLevel.DISK_ONLY) if len(write) > 1 else scored
    counts: dict[str, int] = {}
    if "recommendations" in write:
        source = F.when(F.size("items") == 0, NOTHING_LEFT).otherwise(F.col("source"))
        path, following = files.join(folder, "recommendations"), "next_items" in scored.columns
        reranked, explained = (has_field(scored, name) for name in ("model_score", "because"))
        schema = schemas.recommendations(user, item, horizon=following, reranked=reranked, explained=explained)
        lists, observation = observe_lists(scored.withColumn("source", source), full=full)
        io.write_table(lists, path, schema)
        counts = counts_of(observation)
    if "user_embeddings" in write:
        path = files.join(folder, "user_embeddings")
        io.write_table(scored.where(F.col("embedding").isNotNull()), path, schemas.user_embeddings(user))
        counts["user_embeddings"] = io.open_table(scored.sparkSession, path).count()
    scored.unpersist()
    return counts


def count_repeated(histories: DataFrame) -> int:
    """Act: the entries of histories that next items leave out, because the user had the item again later."""
    repeated = F.size("items") - F.size(F.array_distinct("items"))
    (row,) = histories.agg(F.coalesce(F.sum(repeated), F.lit(0)).alias("repeated")).collect()
    if row["repeated"]:
        log.info("next items: %s entries of histories are left out, as the user had the item again later", f"{row['repeated']:,}")
    return int(row["repeated"])


def copy_item_embeddings(spark: SparkSession, export: Export, folder: str) -> int:
    """Act: copy the model's item_embeddings into a version, so that it is complete in itself; returns the number of rows."""
    schema = schemas.item_embeddings(schemas.IDS[export.meta.id_types.item])
    path = files.join(folder, sealed.EMBEDDINGS)
    io.write_table(io.read_table(spark, export.embeddings, schema), path, schema)
    return io.open_table(spark, path).count()
