"""Interactions of any types into typed ratings; rows that can't be used are counted by reason."""

import logging
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, FractionalType, IntegralType, StringType, StructType

from seqrec.dataset.times import MILLISECONDS, TOO_LARGE, iso, number, reads_as_date, time_unit

log = logging.getLogger("seqrec")

EXACT = "decimal(38,18)"  # of an order column that is text, where a double would lose digits
BUCKETS = 4096  # of users, by a hash: as many rows go through the shuffle from each task of a profile
REASONS = ("null_user", "null_item", "null_timestamp", "bad_user", "bad_item", "bad_rating", "bad_timestamp")
CHECKED = {"bad_user": "user_id", "bad_item": "item_id", "bad_rating": "rating", "bad_timestamp": "timestamp"}


@dataclass(frozen=True, kw_only=True)
class Types:
    """How columns are read: ids bigint or string; time s, ms, iso or native; order a type of Spark, None without a value.

    An order column keeps its type, so that nothing of it is lost; a text is bigint, double, a decimal or string.
    """

    user: str
    item: str
    time: str
    order: str | None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one pass found: rows, types, and the rows that can't be used by reason, with an example of each.

    Fullest is how many usable rows the fullest of BUCKETS of users has: no user has more.
    """

    rows: int
    types: Types
    dropped: dict[str, int]
    examples: dict[str, str]
    fullest: int

    @property
    def usable(self) -> int:
        """Rows that parse."""
        return self.rows - sum(self.dropped.values())


def profile(interactions: DataFrame, *, user: str, item: str, time: str) -> Profile:
    """Act: count rows by what is wrong with them, choose the types that are `auto`, and look for examples where rows are wrong.

    An id is bigint where every usable row has a canonical integer of 64 bits: no leading zero, plus sign, space or decimal point.
    Numbers of a time are milliseconds where most are above 1e11, else seconds; a text with - or : is a date (ISO 8601).
    A row counts for its first reason in the order of REASONS.
    """
    kind, order = (interactions.schema[name].dataType for name in ("timestamp", "order"))
    counted, wrong = _tests()
    judged = _judge(interactions, user=user, item=item)
    counts = _count(judged, {**counted, **_order_tests(order)})
    types = Types(
        user=_id_type(user, counts["lossy_user"]),
        item=_id_type(item, counts["lossy_item"]),
        time=time_unit(time, kind, counts),
        order=_order_type(order, counts),
    )
    parsed = counts["dates"] if types.time == "iso" else counts["numbers"] - (counts["beyond"] if types.time == "s" else 0)
    dropped = {name: int(counts[name]) for name in REASONS[:-1]} | {"bad_timestamp": int(counts["usable"] - parsed)}
    some = {name: F.min(F.when(wrong[name], F.col(CHECKED[name]).cast("string"))) for name in CHECKED if dropped[name]}
    examples = {name: text for name, text in _row(judged, some).items() if text is not None}
    return Profile(rows=int(counts["rows"]), types=types, dropped=dropped, examples=examples, fullest=int(counts["fullest"]))


def parse(interactions: DataFrame, *, types: Types) -> DataFrame:
    """The usable rows: user_id, item_id, rating (float, may be null), timestamp (epoch ms), and order where there is one."""
    kind = interactions.schema["timestamp"].dataType
    time = iso(kind) if types.time == "iso" else number(kind, factor=1000 if types.time == "s" else 1)
    typed = interactions.where(_reason(interactions.schema, user=types.user, item=types.item).isNull()).select(
        F.col("user_id").try_cast(types.user).alias("user_id"),
        F.col("item_id").try_cast(types.item).alias("item_id"),
        F.col("rating").try_cast("float").alias("rating"),
        time.alias("timestamp"),
        *([] if types.order is None else [F.col("order").try_cast(types.order).alias("order")]),
    )
    return typed.where(F.col("timestamp").isNotNull())


def id_column(column: Column, kind: DataType) -> Column:
    """An id as bigint or text. Whole numbers of a fractional column (pandas makes them beside nulls) lose their `.0`."""
    if isinstance(kind, IntegralType):
        return column.cast("bigint")
    if isinstance(kind, FractionalType):
        whole = column.try_cast("bigint")
        return F.when(whole.cast(kind) == column, whole.cast("string")).otherwise(column.cast("string"))
    return column.cast("string")


def _row(rows: DataFrame, found: dict[str, Column]) -> dict[str, Any]:
    return rows.agg(*(value.alias(name) for name, value in found.items())).collect()[0].asDict() if found else {}


def _count(judged: DataFrame, counted: dict[str, Column]) -> dict[str, Any]:
    """Rows that each test is true of; `fullest`, see Profile; and `example`, the smallest undivided number."""
    example = F.min(F.when(counted["undivided"], F.col("number"))).alias("example")
    bucket = F.pmod(F.xxhash64("user_id"), F.lit(BUCKETS))
    buckets = judged.groupBy(bucket).agg(*(F.count_if(test).alias(name) for name, test in counted.items()), example)
    sums = {name: F.coalesce(F.sum(name), F.lit(0)) for name in counted}
    return _row(buckets, {**sums, "fullest": F.coalesce(F.max("usable"), F.lit(0)), "example": F.min("example")})


def _tests() -> tuple[dict[str, Column], dict[str, Column]]:
    """Of a judged row: what it is counted for, and what it is an example of."""
    usable, time, dated = F.col("reason").isNull(), F.col("number"), F.col("date").isNotNull()
    timed = time.isNotNull() | dated
    counted = {
        "rows": F.lit(True),
        "lossy_user": usable & timed & F.col("lossy_user"),
        "lossy_item": usable & timed & F.col("lossy_item"),
        **{name: F.col("reason") == place for place, name in enumerate(REASONS[:-1])},
        "usable": usable,
        "numbers": usable & time.isNotNull(),
        "large": usable & ~time.between(-MILLISECONDS, MILLISECONDS),
        "too_large": usable & ~time.between(-TOO_LARGE, TOO_LARGE),
        "beyond": usable & time.isNotNull() & F.col("seconds").isNull(),
        "dates": usable & time.isNull() & dated,
        "undivided": usable & reads_as_date(time),
    }
    wrong = {name: F.col("reason") == REASONS.index(name) for name in CHECKED}
    return counted, wrong | {"bad_timestamp": usable & ~timed}


def _order_tests(kind: DataType) -> dict[str, Column]:
    """Which values an order column has; of a text also whether it is no whole number, no number, or lossy as a double."""
    order = F.col("order")
    ordered = order.isNotNull()
    if not isinstance(kind, StringType):
        return {"ordered": ordered}
    double, exact = order.try_cast("double"), order.try_cast(EXACT)
    return {
        "ordered": ordered,
        "order_fractions": ordered & order.try_cast("bigint").isNull(),
        "order_texts": ordered & double.isNull(),
        "order_lossy": exact != double.try_cast(EXACT),
        "order_large": ordered & exact.isNull(),
    }


def _judge(interactions: DataFrame, *, user: str, item: str) -> DataFrame:
    """Add why a row can't be used, its time in each reading (null where it has none), whether its ids aren't canonical."""
    kinds = {field.name: field.dataType for field in interactions.schema}
    lossy = {f"lossy_{name}": _lossy(f"{name}_id", kinds[f"{name}_id"]) for name in ("user", "item")}
    kind = kinds["timestamp"]
    times = {"number": number(kind, factor=1), "seconds": number(kind, factor=1000), "date": iso(kind)}
    return interactions.withColumns({"reason": _reason(interactions.schema, user=user, item=item), **times, **lossy})


def _reason(schema: StructType, *, user: str, item: str) -> Column:
    """Why a row can't be used, its time's format apart, as a place in REASONS; null if it can."""
    rating = F.col("rating").try_cast("float")
    tests = {
        "null_user": _missing("user_id", schema["user_id"].dataType),
        "null_item": _missing("item_id", schema["item_id"].dataType),
        "null_timestamp": F.col("timestamp").isNull(),
        "bad_user": F.lit(user == "bigint") & F.col("user_id").try_cast("bigint").isNull(),
        "bad_item": F.lit(item == "bigint") & F.col("item_id").try_cast("bigint").isNull(),
        "bad_rating": F.col("rating").isNotNull() & (rating.isNull() | F.isnan(rating) | (F.abs(rating) == float("inf"))),
    }
    return F.coalesce(*(F.when(test, REASONS.index(name)) for name, test in tests.items()))


def _missing(name: str, kind: DataType) -> Column:
    """Whether there is no id; a text may be empty."""
    absent = F.col(name).isNull()
    return absent | (F.col(name) == "") if isinstance(kind, StringType) else absent


def _lossy(name: str, kind: DataType) -> Column:
    """Whether an id isn't the canonical text of an integer; a null is none."""
    if isinstance(kind, IntegralType):
        return F.lit(False)
    return F.col(name).isNotNull() & ~F.col(name).try_cast("bigint").cast("string").eqNullSafe(F.col(name))


def _id_type(asked: str, lossy: int) -> str:
    return ("string" if lossy else "bigint") if asked == "auto" else asked


def _order_type(kind: DataType, counts: dict[str, Any]) -> str | None:
    if not counts["ordered"]:
        return None
    if not isinstance(kind, StringType):
        return kind.simpleString()
    if not counts["order_fractions"]:
        return "bigint"
    if counts["order_texts"]:
        if counts["order_texts"] < counts["ordered"]:
            log.warning(
                "input.columns.order: %d of %d values are no numbers, so all are sorted as text, where 10 comes before 9",
                counts["order_texts"],
                counts["ordered"],
            )
        return "string"
    return EXACT if counts["order_lossy"] and not counts["order_large"] else "double"
