"""Tables of one or several rows a user, each with a list of items, as one row an item.

A list is one of plain values, one of objects that hold item, time and rating, or a text (see `list_texts`). Times and ratings
may be in lists beside it. The order is that of the times, then that of the list.
"""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructType

from seqrec.dataset.lines import number_lines
from seqrec.dataset.list_texts import begins_like_list, list_of
from seqrec.dataset.parse import BAD_LINE
from seqrec.errors import UserError
from seqrec.tables import io
from seqrec.tables.input_table import InputTable, RatingColumns

BESIDE = ("rating", "timestamp")  # what a list may have beside it


def item_rows(raw: DataFrame, table: InputTable, columns: RatingColumns) -> DataFrame:
    """user_id, item_id, rating, timestamp, order, bad_line: a row for each item of each list.

    A text that begins like a list and is none counts as a bad line: in its list of items, one row; beside them, a row an item.
    Without a time it is the position in the list; where a user has several rows then, the line, and the order is the position.
    It acts without a time, to find such users. Raises UserError for a name that neither a column nor a field has, and where
    most users with several rows have the same list in each of them.
    """
    inner = _inner_fields(raw, table, columns)
    beside = {role: name for role in BESIDE if (name := getattr(columns, role)) is not None and role not in inner}
    time: Column | None = None
    if columns.timestamp is None and _has_repeated_users(raw, table, columns):
        raw, line = number_lines(raw)
        time = F.col(line)
    named = {"items": str(columns.items), **beside}
    texts = [role for role, name in named.items() if _is_text_list(raw, name, always=role == "items")]
    lists = raw.select(
        io.column(columns.user_id).alias("user_id"),
        *((list_of(io.column(name)) if role in texts else io.column(name)).alias(role) for role, name in named.items()),
        *(io.column(named[role]).alias(f"_{role}") for role in texts),
        *([] if time is None else [time.alias("timestamp")]),
        *([io.column(BAD_LINE)] if BAD_LINE in raw.columns else []),
    )
    lists = _mark_unread(lists, texts)
    bad_line = [io.column(BAD_LINE)] if BAD_LINE in lists.columns else []
    exploded = lists.select("*", F.posexplode_outer("items").alias("position", "element"))
    return exploded.where(F.col("position").isNotNull() | _is_bad(exploded)).select(
        "user_id",
        (F.col("element").getField(inner["item_id"]) if inner else F.col("element")).alias("item_id"),
        *(_value(exploded, role, inner).alias(role) for role in BESIDE),
        (F.lit(None) if columns.timestamp is None and time is None else F.col("position")).cast("bigint").alias("order"),
        *bad_line,
    )


def _value(exploded: DataFrame, role: str, inner: Mapping[str, str]) -> Column:
    """The rating or the time of an item: in its object, in a list beside it, in its row, or, a time, its position."""
    if role in inner:
        return F.col("element").getField(inner[role])
    if role not in exploded.columns:
        return F.col("position").cast("bigint") if role == "timestamp" else F.lit(None).cast("bigint")
    is_list = isinstance(exploded.schema[role].dataType, ArrayType)
    return F.get(role, F.col("position")) if is_list else F.col(role)


def _inner_fields(raw: DataFrame, table: InputTable, columns: RatingColumns) -> dict[str, str]:
    """Of a list of objects the field of each role: item_id, and rating and timestamp where a field has their name; else {}.

    Raises UserError for a role whose name neither a field nor a column has.
    """
    kind = raw.schema[str(columns.items)].dataType
    is_objects = isinstance(kind, ArrayType) and isinstance(kind.elementType, StructType)
    fields = kind.elementType.fieldNames() if is_objects else []  # type: ignore[attr-defined]
    inner = {}
    for role in ("item_id", *BESIDE) if is_objects else BESIDE:
        name = getattr(columns, role)
        if name in fields:
            inner[role] = name
        elif name is not None and (role == "item_id" or name not in raw.columns):
            where = (
                f"the objects in {columns.items} have {', '.join(fields)}" if is_objects else f"it has {', '.join(raw.columns)}"
            )
            remedy = f"input.columns.{role}=NAME" + ("" if role == "item_id" else " or null")
            raise UserError(f"{table.place} has no column or field {name!r} for {role}; {where}: set {remedy}")
    return inner


def _is_text_list(raw: DataFrame, name: str, *, always: bool) -> bool:
    """Act, unless `always`: whether a column is text and holds lists, by its first cell, or in any case with `always`."""
    if not isinstance(raw.schema[name].dataType, StringType):
        return False
    column = io.column(name)
    first = [] if always else raw.where(column.isNotNull()).select(begins_like_list(F.ltrim(column))).head(1)
    return always or bool(first and first[0][0])


def _mark_unread(lists: DataFrame, texts: Sequence[str]) -> DataFrame:
    """Add the cells that are no lists to BAD_LINE: of each of these columns the text is beside it, after an underscore."""
    unread = [F.when(F.col(role).isNull(), F.col(f"_{role}")) for role in texts]
    said = [io.column(BAD_LINE)] if BAD_LINE in lists.columns else []
    return lists.withColumn(BAD_LINE, F.coalesce(*said, *unread)) if unread else lists


def _is_bad(exploded: DataFrame) -> Column:
    """Whether a row is a line that couldn't be read, which is counted though it has no item."""
    return F.col(BAD_LINE).isNotNull() if BAD_LINE in exploded.columns else F.lit(False)


def _has_repeated_users(raw: DataFrame, table: InputTable, columns: RatingColumns) -> bool:
    """Act: whether a user has several rows. UserError if most such users have the same list in each."""
    user, items = io.column(columns.user_id).alias("user"), io.column(str(columns.items))
    counts = raw.groupBy(user).agg(F.count(F.lit(1)).alias("rows"), F.count_distinct(F.xxhash64(items)).alias("lists"))
    several = counts.where((F.col("rows") > 1) & F.col("user").isNotNull())
    example = F.max_by(F.struct("user", "rows"), "rows").alias("example")
    users, same, row = several.agg(F.count(F.lit(1)), F.count_if(F.col("lists") == 1), example).collect()[0]
    if 2 * same > users:
        raise UserError(
            f"{table.place}: {same} of {users} users with several rows have the same list in each, such as {row['user']!r} in "
            f"{row['rows']} rows: give one row a user, as drop_duplicates makes it, or a time by input.columns.timestamp"
        )
    return bool(users)
