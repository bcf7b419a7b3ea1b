"""The second stage on Spark: a ranker, candidates and features, checked against each other, and users' lists by them.

    second = open_second_stage(dataset, folders, history="full", top_k=100)
    rank_users_twice(histories, second, fallback=ListTask(…))

Everything is checked before a user is scored, a trial on the driver included: the candidates of one user, joined and scored.
"""

import logging
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.command.bars import working_on
from seqrec.errors import UserError
from seqrec.scoring.described_lists import count_parts, read_lists, with_user_features
from seqrec.scoring.lists import ListTask
from seqrec.scoring.ranked_lists import HISTORY, RankTask
from seqrec.scoring.shipping import ShippedRanker, ship_ranker
from seqrec.scoring.udf import rank_candidates
from seqrec.serving.candidate_rows import ItemFeatures
from seqrec.serving.ranker_version import RankerVersion, locate_ranker
from seqrec.serving.second_stage import SecondStage
from seqrec.serving.second_stage_inputs import SecondStageInputs, open_inputs, require_ranker
from seqrec.serving.sorted_ids import SortedIds
from seqrec.storage.metadata import SecondStageMeta
from seqrec.tables import schemas
from seqrec.tables.datasets import Dataset
from seqrec.tables.id_lists import read_ids

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class SecondStageFolders:
    """The folders of train_ranker, build_candidates and build_features."""

    ranker: str
    candidates: str
    features: str


@dataclass(frozen=True, kw_only=True)
class OpenedSecondStage:
    """A checked second stage: its versions, the ranker on every executor, and the features of the items."""

    dataset: Dataset
    version: RankerVersion
    inputs: SecondStageInputs
    shipped: ShippedRanker
    features: ItemFeatures

    @property
    def described(self) -> SecondStageMeta:
        """What the meta.json of lists says of it."""
        meta, inputs = self.version.meta, self.inputs
        return SecondStageMeta(
            ranker=meta.run_id,
            method=meta.method,
            samples=meta.samples,
            candidates=inputs.candidates_meta.run_id,
            features=inputs.features_meta.run_id,
            sources=list(inputs.sources),
        )


def open_second_stage(dataset: Dataset, folders: SecondStageFolders, *, history: str, top_k: int) -> OpenedSecondStage:
    """Act: the current versions of the folders; UserError, with what to do, if they don't fit each other or the dataset."""
    working_on("trying the ranker on the candidates of one user")
    version, inputs = locate_ranker(folders.ranker), open_inputs(folders.candidates, folders.features)
    inputs.require(dataset.meta.run_id, history=history)
    most = inputs.candidates_meta.top_n
    if top_k > most:
        raise UserError(
            f"top_k={top_k}: the candidates in {inputs.candidates} are at most {most} a user: set top_k={most}, or run "
            f"build_candidates top_n={top_k}"
        )
    require_ranker(version, inputs)
    if version.meta.samples.has_targets_of(history):
        log.warning("the ranker learned which items history=%s holds out: evaluate will refuse these lists", history)
    inputs = inputs.only(version.meta.columns)
    second = OpenedSecondStage(
        dataset=dataset,
        version=version,
        inputs=inputs,
        shipped=ship_ranker(dataset.spark, version),
        features=inputs.item_features(),
    )
    _try_to_rank(second)
    return second


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Which candidates users may get: paths of an allow- and of a deny-list; whether `seen` leaves out others."""

    allow: str | None = None
    deny: str | None = None
    excluded: bool = False


def rank_users_twice(histories: DataFrame, second: OpenedSecondStage, *, fallback: ListTask, kept: Kept) -> DataFrame:
    """Act (the lists of items are read): user_id, items and source of each row of histories (user_id, items, seen).

    The source is `ranker`; of a user without a candidate, or with none that the lists of items leave, it is the list of the
    sequence model or of popular items, as `fallback` gives them.
    """
    dataset, inputs = second.dataset, second.inputs
    lists = with_user_features(read_lists(dataset, inputs), inputs)
    own = [F.col(name).alias(alias) for name, alias in zip(("items", "seen"), HISTORY[:2], strict=True)]
    segment = F.col("segment") if "segment" in histories.columns else F.lit(None).cast("string")
    further = (F.xxhash64("user_id").alias(HISTORY[2]), segment.alias(HISTORY[3]))
    users = histories.select("user_id", *own, *further).join(lists, "user_id", "left")
    shared, shipped, sources = dataset.spark.sparkContext.broadcast(second.features), second.shipped, inputs.sources
    task = RankTask(
        opened=lambda: SecondStage(score=shipped.open().score, features=shared.value, sources=sources),
        fallback=fallback,
        allow=_read_items(dataset, kept.allow),
        deny=_read_items(dataset, kept.deny),
        excluded=kept.excluded,
    )
    return rank_candidates(users.repartition(count_parts(dataset, inputs), "user_id"), task=task)


def _try_to_rank(second: OpenedSecondStage) -> None:
    """Act: rank the candidates of one user on the driver; UserError if a feature is missing, or of a type that doesn't fit."""
    lists = read_lists(second.dataset, second.inputs).where(F.size("items") > 0).limit(1)
    one = with_user_features(lists, second.inputs).toArrow().combine_chunks().to_batches()
    if not one:
        raise UserError(f"{second.inputs.candidates} has candidates for no user: run build_candidates with other sources")
    stage = SecondStage(score=second.shipped.open().score, features=second.features, sources=second.inputs.sources)
    stage.best(one[0], 1)


def _read_items(dataset: Dataset, path: str | None) -> SortedIds | None:
    """Act: the ids in a list of items; None without one."""
    if path is None:
        return None
    ids = read_ids(dataset.spark, path, column="item_id", kind=schemas.IDS[dataset.meta.id_types.item]).toArrow()
    return SortedIds.of(ids["item_id"].combine_chunks())
