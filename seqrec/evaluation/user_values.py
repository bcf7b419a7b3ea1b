"""The table of a method's values, a user a row: what `list_measures` says of the lists, and NDCG and hit rate of the ranks."""

from collections.abc import Callable
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, StructField, StructType

from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.list_measures import LIST_FAULTS, LIST_MEASURES, ItemFacts, measure_batches
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.user_blocks import BlockSums, means
from seqrec.tables.python_tasks import map_batches

FIRST = 10  # the items of a list that are measured


def measure_users(ranked: Ranked, held_out: HeldOut, facts: Callable[[], ItemFacts]) -> DataFrame:
    """user_id, LIST_MEASURES and LIST_FAULTS of each user of a ranked table; not yet computed.

    The measures are of the first FIRST items, or of all if the lists are made shorter than that; a list with fewer is short.
    """
    rows = ranked.table.select("user_id", "targets", "ranks", "items").join(held_out.users.select("user_id", "seen"), "user_id")
    doubles = [StructField(name, DoubleType()) for name in (*LIST_MEASURES, *LIST_FAULTS)]
    work = partial(measure_batches, facts=facts, k=depth_of(ranked))
    return map_batches(rows, work, StructType([rows.schema["user_id"], *doubles]))


def depth_of(ranked: Ranked) -> int:
    """How many items of a method's lists are measured."""
    return min(FIRST, ranked.listed or FIRST)


def list_metrics(sums: BlockSums, *, depth: int) -> dict[str, float]:
    """The metrics of lists: means of the measures, such as novelty@10, and the number of users whose list has each fault."""
    of_lists = means(sums)
    users = dict(zip(sums.names, sums.users.sum(axis=0).tolist(), strict=True))
    measured = {f"{name}@{depth}": of_lists[name] for name in LIST_MEASURES if name in of_lists}
    return measured | {name: float(round(of_lists[name] * users[name])) for name in LIST_FAULTS if name in of_lists}
