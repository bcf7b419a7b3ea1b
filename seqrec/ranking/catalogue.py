"""Tables of users and items as they are given: read, checked, and joined by id."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NullType, NumericType, StringType

from seqrec.dataset.parse import id_column
from seqrec.dataset.read import VALUE, Expected, read_file
from seqrec.dataset.snapshot import require_whole
from seqrec.dataset.unreadable import reading
from seqrec.errors import UserError
from seqrec.ranking.genres import genre_list
from seqrec.tables import io

READING = ("path", "format", "delimiter", "header", "names", "encoding")
NUMBERS = Expected((StringType, NumericType, BooleanType, NullType), "numbers")
Side = Mapping[str, Any]  # a table's settings: READING, and the columns id, text, discrete and continuous


def read_users(spark: SparkSession, side: Side, *, kind: DataType, max_bad_share: float) -> DataFrame:
    """Act: user_id and the columns asked for, as `described` reads them; no rows where there is no table of users."""
    if side["path"] is None:
        return spark.createDataFrame([], f"user_id {kind.simpleString()}")
    with _reading("users", side):
        raw = _read(spark, "users", side)
        return described(raw, key="users", name="user_id", kind=kind, side=side, max_bad_share=max_bad_share)


def read_items(
    spark: SparkSession, sides: Mapping[str, Side], *, kind: DataType, genres: Mapping[str, Any], max_bad_share: float
) -> DataFrame:
    """Act: item_id, the columns asked for of all tables, and genres; no rows where there is no table of items.

    The first table, `items`, says which items there are; what the others say of other items is left out.
    """
    first = sides["items"]
    if first["path"] is None:
        return spark.createDataFrame([], f"item_id {kind.simpleString()}, genres array<string>")
    asked: dict[str, Any] = {"name": "item_id", "kind": kind, "max_bad_share": max_bad_share}
    with _reading("items", first):
        raw = _read(spark, "items", first)
        _require(raw, "genres.column", [genres["column"]] if genres["column"] else [], path=first["path"])
        _require(raw, "genres.columns", genres["columns"] or [], path=first["path"])
        listed = genre_list(raw, path=first["path"], **{name: genres[name] for name in ("column", "delimiter", "columns")})
        items = described(raw, key="items", side=first, genres=listed, **asked)
    for key, side in list(sides.items())[1:]:
        with _reading(key, side):
            items = items.join(described(_read(spark, key, side), key=key, side=side, **asked), "item_id", "left")
    return items


def described(
    raw: DataFrame, *, key: str, name: str, kind: DataType, side: Side, max_bad_share: float, genres: Column | None = None
) -> DataFrame:
    """Act: a table by its ids, of that kind and unique: text and discrete columns as strings, continuous ones as floats.

    A continuous value that is no number, NaN, infinite or too large for a float is null. Raises UserError, naming the settings
    below `key`, for a missing column, one of a type that can't be read so, ids that are null, repeated or of another kind, and
    columns of numbers with a greater share of such values.
    """
    path, column = side["path"], side["id"] or name
    _require(raw, f"{key}.id", [column], path=path)
    for part in ("text", "discrete", "continuous"):
        _require(raw, f"{key}.{part}", side[part], path=path)
    _require_types(raw, f"{key}.id", [column], VALUE, path=path)
    _require_types(raw, f"{key}.continuous", side["continuous"], NUMBERS, path=path)
    ids = id_column(io.column(column), raw.schema[column].dataType)
    typed = {name: ids.try_cast(kind)}
    typed |= {one: io.column(one).cast("string") for one in (*side["text"], *side["discrete"])}
    typed |= {one: _finite(io.column(one).try_cast("float")) for one in side["continuous"]}
    wrong = {column: typed[name].isNull() | (ids.cast("string") == "")}
    wrong |= {one: io.column(one).isNotNull() & typed[one].isNull() for one in side["continuous"]}
    _guard_values(raw, wrong, column=column, key=key, path=path, kind=kind, max_share=max_bad_share)
    table = raw.select(*(value.alias(one) for one, value in typed.items()), *([] if genres is None else [genres.alias("genres")]))
    io.assert_unique(table, key=name, path=path)
    return table


def count_missing(ratings: DataFrame, table: DataFrame, *, column: str) -> tuple[int, int]:
    """Act: how many users or items the ratings have, and how many of them the table lacks."""
    rated = ratings.select(column).distinct().join(table.select(column, F.lit(True).alias("known")), column, "left")
    counts = rated.agg(F.count(F.lit(1)).alias("all"), F.count_if(F.col("known").isNull()).alias("missing")).collect()[0]
    return int(counts["all"]), int(counts["missing"])


def guard_missing(*, rated: int, missing: int, key: str, path: str, max_share: float) -> None:
    """Raise UserError if the table lacks a greater share of the rated users or items."""
    if missing > max_share * rated:
        raise UserError(
            f"{path} lacks {missing} of the {rated} rated {key}, max_missing_share is {max_share:g}: "
            f"give the table that belongs to these ratings ({key}.path), check {key}.id, or raise max_missing_share"
        )


def _read(spark: SparkSession, key: str, side: Side) -> DataFrame:
    require_whole(spark, side["path"], key=key)
    return read_file(spark, key=key, **{name: side[name] for name in READING})


def _reading(key: str, side: Side) -> AbstractContextManager[None]:
    return reading(key=key, path=side["path"], format=side["format"])


def _require(raw: DataFrame, key: str, columns: Sequence[str], *, path: str) -> None:
    for column in columns:
        if column not in raw.columns:
            raise UserError(f"{path} has no column {column!r}, which {key} names; it has {', '.join(raw.columns) or 'none'}")


def _require_types(raw: DataFrame, key: str, columns: Sequence[str], expected: Expected, *, path: str) -> None:
    for column in columns:
        kind = raw.schema[column].dataType
        if not isinstance(kind, expected.kinds):
            raise UserError(f"{path}: column {column!r} is {kind.simpleString()}, expected {expected.words} for {key}")


def _finite(value: Column) -> Column:
    """A float, null where it is NaN or infinite."""
    return F.when(~F.isnan(value) & (F.abs(value) != float("inf")), value)


def _guard_values(
    raw: DataFrame, wrong: Mapping[str, Column], *, column: str, key: str, path: str, kind: DataType, max_share: float
) -> None:
    """Act: count the values of each column that can't be used; no id may be among them."""
    counts = (F.count_if(test).alias(f"n_{one}") for one, test in wrong.items())
    examples = (F.min(F.when(test, io.column(one).cast("string"))).alias(f"e_{one}") for one, test in wrong.items())
    found = raw.agg(F.count(F.lit(1)).alias("rows"), *counts, *examples).collect()[0]
    for one in wrong:
        count, example = found[f"n_{one}"], found[f"e_{one}"]
        if one == column and count:
            raise UserError(
                f"{path}: {count} ids in {one} are null or no {kind.simpleString()}, such as {example!r}: check {key}.id"
            )
        if count > max_share * found["rows"]:
            raise UserError(
                f"{path}: {count} of {found['rows']} values of {one} are no finite numbers, such as {example!r}, max_bad_share "
                f"is {max_share:g}: move it to {key}.discrete, or raise max_bad_share"
            )
