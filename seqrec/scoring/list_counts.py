"""What is counted of finished lists: where they come from, those that are empty, and items without a reason."""

import logging

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType

from seqrec.scoring.encoded_users import POPULAR
from seqrec.serving.second_stage import RANKER

log = logging.getLogger("seqrec")

NOTHING_LEFT = "none"  # the source of an empty list: the user has had all items that may be recommended


def has_field(lists: DataFrame, name: str) -> bool:
    """Whether the items of lists have a field, such as model_score under rules, and because with explanations."""
    items = lists.schema["items"].dataType
    return isinstance(items, ArrayType) and isinstance(items.elementType, StructType) and name in items.elementType.names


def count_lists(lists: DataFrame, *, explained: bool) -> dict[str, int]:
    """Act: users, those with popular, empty and ranked lists and, of explained lists, the items without a reason."""
    without = F.size(F.filter("items", lambda entry: F.size(entry["because"]) == 0)) if explained else F.lit(0)
    totals = lists.groupBy("source").agg(F.count("*").alias("users"), F.sum(without).alias("unexplained")).collect()
    users = {row["source"]: row["users"] for row in totals}
    counts = {"users": sum(users.values()), "popular": users.get(POPULAR, 0), "empty": users.get(NOTHING_LEFT, 0)}
    counts |= {"ranked": users[RANKER]} if RANKER in users else {}
    if counts["empty"]:
        log.warning(
            "%d of %d users have had all items that may be recommended: their lists are empty, and their source is %s",
            counts["empty"],
            counts["users"],
            NOTHING_LEFT,
        )
    return counts | ({"unexplained": sum(row["unexplained"] for row in totals if row["source"] != POPULAR)} if explained else {})
