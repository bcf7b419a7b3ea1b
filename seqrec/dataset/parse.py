"""Interactions of any types into typed ratings, and what makes a row unusable."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructType

from seqrec.dataset.ids import is_undecoded, typed_id
from seqrec.dataset.times import TimeReading, epoch_milliseconds

BAD_LINE = "bad_line"  # a column of interactions: the line, where it can't be cut into its cells
# What `rejection` names, in this order. bad_line: the line has another number of cells than most, or is no JSON; bad_bytes: an id
# isn't text in the encoding of the file.
REASONS = ("bad_line", "bad_bytes", "null_user", "null_item", "null_timestamp", "bad_user", "bad_item", "bad_rating")


@dataclass(frozen=True, kw_only=True)
class ColumnTypes:
    """How columns are read: ids bigint or string; a time, of which those from first to last are taken (epoch ms; None: all).

    The order is a type of Spark, None without a value: an order column keeps its type, so that nothing of it is lost; a text is
    bigint, double, a decimal or string.
    """

    user: str
    item: str
    time: TimeReading
    order: str | None
    first: int | None = None
    last: int | None = None


def parse_ratings(interactions: DataFrame, *, types: ColumnTypes) -> DataFrame:
    """The usable rows: user_id, item_id, rating (float, may be null), timestamp (epoch ms), and order where there is one."""
    kind = interactions.schema["timestamp"].dataType
    time = epoch_milliseconds(kind, types.time)
    usable = rejection(interactions.schema, user=types.user, item=types.item).isNull()
    typed = interactions.where(usable).select(
        typed_id(F.col("user_id"), interactions.schema["user_id"].dataType, types.user).alias("user_id"),
        typed_id(F.col("item_id"), interactions.schema["item_id"].dataType, types.item).alias("item_id"),
        F.col("rating").try_cast("float").alias("rating"),
        time.alias("timestamp"),
        *([] if types.order is None else [F.col("order").try_cast(types.order).alias("order")]),
    )
    taken = F.col("timestamp").isNotNull()
    if types.first is not None:
        taken &= F.col("timestamp") >= types.first
    if types.last is not None:
        taken &= F.col("timestamp") <= types.last
    return typed.where(taken)


def rejection(schema: StructType, *, user: str, item: str) -> Column:
    """Why a row can't be used: the first of its reasons, null if it can. A time in a wrong format isn't among the reasons."""
    user_kind, item_kind = schema["user_id"].dataType, schema["item_id"].dataType
    user_id, item_id = F.col("user_id"), F.col("item_id")
    tests = {
        "bad_line": F.col(BAD_LINE).isNotNull() if BAD_LINE in schema.names else F.lit(False),
        "bad_bytes": is_undecoded(user_id, user_kind) | is_undecoded(item_id, item_kind),
        "null_user": _is_missing("user_id", user_kind),
        "null_item": _is_missing("item_id", item_kind),
        "null_timestamp": F.col("timestamp").isNull(),
        "bad_user": F.lit(user == "bigint") & typed_id(user_id, user_kind, "bigint").isNull(),
        "bad_item": F.lit(item == "bigint") & typed_id(item_id, item_kind, "bigint").isNull(),
        "bad_rating": F.col("rating").isNotNull() & ~_is_finite(F.col("rating").try_cast("float")),
    }
    return F.coalesce(*(F.when(tests[reason], reason) for reason in REASONS))


def _is_missing(name: str, kind: DataType) -> Column:
    """Whether there is no id; an empty text is none."""
    absent = F.col(name).isNull()
    return absent | (F.col(name) == "") if isinstance(kind, StringType) else absent


def _is_finite(number: Column) -> Column:
    """Whether a float is there and is neither NaN nor infinite."""
    return number.isNotNull() & ~F.isnan(number) & (F.abs(number) != float("inf"))
