"""Interactions of any types into typed ratings, and what makes a row unusable."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, FractionalType, IntegralType, StringType, StructType

from seqrec.dataset.times import epoch_number, iso_milliseconds

REASONS = ("null_user", "null_item", "null_timestamp", "bad_user", "bad_item", "bad_rating")  # what `rejection` names, in order


@dataclass(frozen=True, kw_only=True)
class ColumnTypes:
    """How columns are read: ids bigint or string; time s, ms, iso or native; order a type of Spark, None without a value.

    An order column keeps its type, so that nothing of it is lost; a text is bigint, double, a decimal or string.
    """

    user: str
    item: str
    time: str
    order: str | None


def parse_ratings(interactions: DataFrame, *, types: ColumnTypes) -> DataFrame:
    """The usable rows: user_id, item_id, rating (float, may be null), timestamp (epoch ms), and order where there is one."""
    kind = interactions.schema["timestamp"].dataType
    time = iso_milliseconds(kind) if types.time == "iso" else epoch_number(kind, factor=1000 if types.time == "s" else 1)
    usable = rejection(interactions.schema, user=types.user, item=types.item).isNull()
    typed = interactions.where(usable).select(
        F.col("user_id").try_cast(types.user).alias("user_id"),
        F.col("item_id").try_cast(types.item).alias("item_id"),
        F.col("rating").try_cast("float").alias("rating"),
        time.alias("timestamp"),
        *([] if types.order is None else [F.col("order").try_cast(types.order).alias("order")]),
    )
    return typed.where(F.col("timestamp").isNotNull())


def rejection(schema: StructType, *, user: str, item: str) -> Column:
    """Why a row can't be used: the first of its reasons, null if it can. A time in a wrong format isn't among the reasons."""
    tests = {
        "null_user": _is_missing("user_id", schema["user_id"].dataType),
        "null_item": _is_missing("item_id", schema["item_id"].dataType),
        "null_timestamp": F.col("timestamp").isNull(),
        "bad_user": F.lit(user == "bigint") & F.col("user_id").try_cast("bigint").isNull(),
        "bad_item": F.lit(item == "bigint") & F.col("item_id").try_cast("bigint").isNull(),
        "bad_rating": F.col("rating").isNotNull() & ~_is_finite(F.col("rating").try_cast("float")),
    }
    return F.coalesce(*(F.when(tests[reason], reason) for reason in REASONS))


def id_column(column: Column, kind: DataType) -> Column:
    """An id as bigint or text. Whole numbers of a fractional column (pandas makes them beside nulls) lose their `.0`."""
    if isinstance(kind, IntegralType):
        return column.cast("bigint")
    if isinstance(kind, FractionalType):
        whole = column.try_cast("bigint")
        return F.when(whole.cast(kind) == column, whole.cast("string")).otherwise(column.cast("string"))
    return column.cast("string")


def _is_missing(name: str, kind: DataType) -> Column:
    """Whether there is no id; an empty text is none."""
    absent = F.col(name).isNull()
    return absent | (F.col(name) == "") if isinstance(kind, StringType) else absent


def _is_finite(number: Column) -> Column:
    """Whether a float is there and is neither NaN nor infinite."""
    return number.isNotNull() & ~F.isnan(number) & (F.abs(number) != float("inf"))
