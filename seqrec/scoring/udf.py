"""The Python UDFs of scoring: SQL can't express a sequence model.

`recommend_udf` is a column function for users: an iterator pandas_udf, which is called in a select or in SQL.

    spark.udf.register("recommend", recommend_udf("/data/model", top_k=10))
    spark.sql("SELECT user_id, recommend(items, seen) AS lists FROM sequences")

The others are for jobs, and take whole tables by mapInArrow. Both ways compute in `lists`, but `reject_items` in `rejected`.
batch_recommend takes mapInArrow, and `recommend_users` is the one place that decides. The column function costs 6 to 12 % more
CPU time (20,000 users, 100 of 3,000 items each, medians of four rounds), though the wall clock hardly tells them apart:
- Spark 4.0's pandas_udf makes a Python list of each list that comes back, and reads it item by item: 5 % of Python's time.
- The JVM zips the arrays. Fields of arrays_zip may be null for Parquet, those of the column items may not. What gives the right
  type (zip_with and coalesce, or transform) is not compiled, and takes 0.1 to 0.2 µs an item: 2 to 4 %.
tests/bench/scoring.py times both.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, DataType, FloatType, LongType, StringType, StructField, StructType

from seqrec.errors import UserError
from seqrec.scoring.available import mark_available
from seqrec.scoring.described_users import TowerTask, recommend_described
from seqrec.scoring.lists import ListSettings, ListTask, embed_batches, recommend_batches
from seqrec.scoring.ranked_lists import RankTask, describe_batches, rank_candidate_batches
from seqrec.scoring.rejected import Search, reject_batches
from seqrec.scoring.series import recommend_series
from seqrec.scoring.shipping import Shipped, ship
from seqrec.scoring.target_ranks import rank_batches
from seqrec.serving.candidate_rows import ItemFeatures
from seqrec.serving.exports import locate
from seqrec.serving.topk import DEFAULT_SIZES, BlockSizes
from seqrec.tables import schemas
from seqrec.tables.python_tasks import lighten_worker, map_batches

if TYPE_CHECKING:
    from pyspark.sql._typing import UserDefinedFunctionLike

MOST_ITEMS = 10_000  # in a list, which is held in memory
USER_HASH = "xxhash64(user_id) AS user"  # how a model with embeddings of users knows a user


def recommend_udf(
    model: str,
    top_k: int = 10,
    *,
    filter_seen: bool = True,
    allow: str | None = None,
    deny: str | None = None,
    embeddings: bool = False,
) -> "UserDefinedFunctionLike":
    """Act: a column function recommend(items, seen), or recommend(items, seen, user_id), of a model's folder.

    The folder is a MODEL, whose current export is taken, or MODEL/exports/RUN_ID. items and seen are arrays of item_idx, as in
    the table sequences; a null is an empty array. The function gives a struct of item_id and score, two arrays of one length,
    best first, ties by item_idx; of source, `model` or `popular`; and with `embeddings` of embedding, null for the popular.
    arrays_zip(item_id, score) is the column items of the table recommendations. user_id counts for a model with embeddings of
    users alone, which without it uses the history alone. `allow` and `deny` are paths of lists of items, as in batch_recommend.

    Raises UserError if the model isn't exported or whole, or the lists of items leave none. Columns of other types end the query.
    """
    if not 1 <= top_k <= MOST_ITEMS:
        raise UserError(f"top_k={top_k}: a list has 1 to {MOST_ITEMS:,} items")
    spark, export = SparkSession.builder.getOrCreate(), locate(model)
    task = ListTask(
        model=ship(spark, export),
        lists=ListSettings(top_k=top_k, filter_seen=filter_seen),
        available=pack(mark_available(spark, export, allow=allow, deny=deny)),
        embeddings=embeddings,
    )
    return recommend_column(task, user_type=export.meta.id_types.user)


def recommend_column(task: ListTask, *, user_type: str) -> "UserDefinedFunctionLike":
    """The column function of a task; user_type, bigint or string, is that of the users the model was trained on."""
    kinds: dict[str, DataType] = {
        "item_id": ArrayType(schemas.IDS[task.model.item_type], containsNull=False),
        "score": ArrayType(FloatType(), containsNull=False),
        "source": StringType(),
    }
    if task.embeddings:
        kinds["embedding"] = schemas.EMBEDDING
    fields = [StructField(name, kind) for name, kind in kinds.items()]  # pyspark makes each field of a struct nullable

    def recommend(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        lighten_worker()
        yield from recommend_series(batches, task=task, user_type=user_type)

    function: UserDefinedFunctionLike = cast(Any, pandas_udf)(recommend, StructType(fields))  # its stubs lack such iterators
    return function


def recommend_users(
    histories: DataFrame,
    *,
    model: Shipped,
    lists: ListSettings,
    available: NDArray[np.bool_] | None = None,
    embeddings: bool = False,
    sizes: BlockSizes = DEFAULT_SIZES,
) -> DataFrame:
    """The best items of each row of histories (user_id, items, seen): user_id, items, source, and with `embeddings` embedding.

    With a horizon, next_items stand after items: structs as those, in the order in which they come (see `Chooser.following`).
    With an explanation, the structs of items have `because` too (see `Explainer.add_reasons`).

    Items are structs of item_id and score, best first, ties by item_idx. Users without an item that the model knows get the
    most popular items, scored by their count, and a null embedding. Items with neither a training event nor a vector aren't, nor
    those not marked in `available` (V + 2,). Lists are shorter than top_k where fewer items are left. Under rules, the structs of
    items have model_score too (see `ListRules.apply`).
    """
    row = _list_columns(histories, lists, item_type=model.item_type)
    fields = [row[name] for name in row.fieldNames() if name in ("user_id", "items", "next_items", "source")]
    if embeddings:
        fields.append(StructField("embedding", schemas.EMBEDDING, nullable=True))
    task = ListTask(model=model, lists=lists, available=pack(available), embeddings=embeddings, sizes=sizes)
    score = partial(recommend_batches, task=task)
    segment = [name for name in histories.columns if name == "segment"]
    return map_batches(_spread(histories.selectExpr("user_id", "items", "seen", *segment, USER_HASH)), score, StructType(fields))


def embed_users(histories: DataFrame, *, model: Shipped, sizes: BlockSizes = DEFAULT_SIZES) -> DataFrame:
    """The query of each row of histories (user_id, items): user_id, embedding; null without an item that the model knows."""
    fields = [histories.schema["user_id"], StructField("embedding", schemas.EMBEDDING, nullable=True)]
    embed = partial(embed_batches, model=model, batch_users=sizes.users)
    return map_batches(_spread(histories.selectExpr("user_id", "items", USER_HASH)), embed, StructType(fields))


def rank_users(held_out: DataFrame, *, model: Shipped, top_k: int = 100, sizes: BlockSizes = DEFAULT_SIZES) -> DataFrame:
    """The ranks of held-out targets: user_id, targets, ranks (of each target), items, source; held_out as in schemas.held_out.

    A rank counts from 1 over the model's whole vocabulary without the user's seen items, items without a training event
    included; ties count against the target. No target is left out as seen. A target that was added to the vocabulary after the
    model has rank V + 1. `items` (structs of item_id and score) are the top_k of the same candidates, ties by item_idx. Users
    without an item that the model knows are ranked by popularity. Scores that are not finite are an error.
    """
    row = schemas.recommendations(held_out.schema["user_id"].dataType, schemas.IDS[model.item_type])
    targets = StructField("targets", schemas.ITEM_INDICES, False)
    ranks = StructField("ranks", ArrayType(LongType(), containsNull=False), False)
    score = partial(rank_batches, model=model, k=top_k, sizes=sizes)
    columns = _spread(held_out.selectExpr("user_id", "items", "seen", "targets", USER_HASH))
    return map_batches(columns, score, StructType([row["user_id"], targets, ranks, row["items"], row["source"]]))


def reject_items(drawn: DataFrame, *, opened: Callable[[], Search], top: int) -> DataFrame:
    """Drawn positions (see `preference_pairs.draw_positions`) with `rejected`: an item for each, 0 where no candidate is left.

    Python's workers call `opened` once for each task.
    """
    kinds = {name: drawn.schema[name].dataType for name in ("user_id", "items", "positions")}
    fields = [StructField(name, kind, False) for name, kind in {**kinds, "rejected": schemas.ITEM_INDICES}.items()]
    reject = partial(reject_batches, opened=opened, top=top)
    columns = drawn.selectExpr("user_id", "items", "positions", "draws", USER_HASH)
    return map_batches(_spread(columns), reject, StructType(fields))


def describe_candidates(
    lists: DataFrame, *, features: Callable[[], ItemFeatures], sources: Sequence[str], columns: StructType
) -> DataFrame:
    """The candidates of lists (user_id, items, columns of the user) as rows of `columns`, see `candidate_rows`.

    Each partition is a task, here and in `rank_candidates`.
    """
    describe = partial(describe_batches, features=features, sources=sources)
    return map_batches(lists, describe, columns)


def rank_candidates(users: DataFrame, *, task: RankTask) -> DataFrame:
    """The lists that a ranker gives: user_id, items (structs of item_id and score) and source: ranker, model or popular.

    Users have user_id, items (candidates, null for none), the columns of their features, and those of `ranked_lists.HISTORY`.
    """
    row = _list_columns(users, task.fallback.lists, item_type=task.fallback.model.item_type)
    fields = [row[name] for name in ("user_id", "items", "source")]
    return map_batches(users, partial(rank_candidate_batches, task=task), StructType(fields))


def recommend_by_towers(users: DataFrame, *, task: TowerTask, item: DataType) -> DataFrame:
    """The best items of users by their features: user_id, items (structs of item_id and score), source and embedding.

    Users have user_id, the columns of the tower's features, and `described_users.SEEN`, indices of the items that are left out.
    """
    row = schemas.recommendations(users.schema["user_id"].dataType, item)
    fields = [*(row[name] for name in ("user_id", "items", "source")), StructField("embedding", schemas.EMBEDDING, False)]
    return map_batches(_spread(users), partial(recommend_described, task=task), StructType(fields))


def _list_columns(users: DataFrame, lists: ListSettings, *, item_type: str) -> StructType:
    """The columns that lists may have, for users with a user_id."""
    return schemas.recommendations(
        users.schema["user_id"].dataType,
        schemas.IDS[item_type],
        horizon=lists.horizon is not None,
        reranked=lists.rules is not None,
        explained=lists.explanation is not None,
    )


def pack(available: NDArray[np.bool_] | None) -> bytes | None:
    """Marks (V + 2,) of items as a bit each; None stays None."""
    return None if available is None else np.packbits(available).tobytes()


def _spread(histories: DataFrame) -> DataFrame:
    """The histories in at least as many partitions as there are cores: a small table would be in one.

    Spark computes a plan with joins to count its partitions, so joined candidates are spread by `described_lists.count_parts`.
    """
    cores = histories.sparkSession.sparkContext.defaultParallelism
    return histories.repartition(cores, "user_id") if histories.rdd.getNumPartitions() < cores else histories
