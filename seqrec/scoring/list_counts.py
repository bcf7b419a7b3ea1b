"""What is counted of finished lists while they are written: where they come from, and those that aren't as they should be.

    observed, observation = observe_lists(lists, full=100)
    io.write_table(observed, …)
    counts = counts_of(observation)

Spark counts in the tasks that write, so that nothing is read again: to read 20,000 lists of 100 items with three reasons each
takes 2 to 3 s of a core, a quarter of what the whole job without reasons does.
"""

import logging

from pyspark.sql import Column, DataFrame, Observation
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


def observe_lists(lists: DataFrame, *, full: int) -> tuple[DataFrame, Observation]:
    """Lists (source, items), and what the first action on them counts: users, and popular, empty and ranked lists.

    Of lists with explanations also the items without a reason, but those of popular lists, which have none; of lists under rules
    those that are short of `full` items, for whatever reason, and those that popular items fill up.
    """
    source = F.col("source")
    counted = {
        "users": F.lit(1),
        "popular": _if(source == POPULAR),
        "empty": _if(source == NOTHING_LEFT),
        "ranked": _if(source == RANKER),
    }
    if has_field(lists, "because"):
        without = F.size(F.filter("items", lambda entry: F.size(entry["because"]) == 0))
        counted["unexplained"] = F.when(source == POPULAR, 0).otherwise(without)
    if has_field(lists, "model_score"):
        counted["short"] = _if(F.size("items") < full)
        counted["filled"] = _if(F.exists("items", lambda entry: entry["model_score"].isNull()))
    observation = Observation()
    return lists.observe(observation, *(F.sum(column).alias(name) for name, column in counted.items())), observation


def counts_of(observation: Observation) -> dict[str, int]:
    """What was counted; `ranked` only if a ranker made lists. A warning tells of empty ones."""
    counts = {name: int(count or 0) for name, count in observation.get.items()}
    if not counts["ranked"]:
        del counts["ranked"]
    if counts["empty"]:
        log.warning(
            "%d of %d users have had all items that may be recommended: their lists are empty, and their source is %s",
            counts["empty"],
            counts["users"],
            NOTHING_LEFT,
        )
    return counts


def _if(condition: Column) -> Column:
    """1 where a condition holds, else 0."""
    return F.when(condition, 1).otherwise(0)
