"""Find by the rows of a table of ratings what the configuration (input.*) doesn't say of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StructType

from seqrec.dataset.column_facts import ENOUGH, ColumnFacts, describe_columns
from seqrec.dataset.dialect import LINES
from seqrec.dataset.head import Head, read_head, settle_table
from seqrec.dataset.id_evidence import are_swapped
from seqrec.dataset.list_roles import choose_in_list
from seqrec.dataset.parse import BAD_LINE
from seqrec.dataset.placed_roles import choose_by_place, choose_user_beside_list
from seqrec.dataset.read_file import read_file
from seqrec.dataset.roles import Choice, Pool, choose_columns, choose_user_and_list, refuse
from seqrec.dataset.unreadable import reading
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tables import io
from seqrec.tables.input_table import AUTO, InputTable, RatingColumns, WantedTable

ROLES = ("user_id", "item_id", "rating", "timestamp")
SHOWN = ("user_id", "items", "item_id", "rating", "timestamp")
ROWS = 50_000  # that are looked at: in files that are sorted by user, some hundred users
CELLS = 2_000_000
SINGLE = 0.95  # users in a rating: above, the column of users is probably another one
GIVEN = "as the configuration says"


@dataclass(frozen=True, kw_only=True)
class DetectedInput:
    """A table of ratings as it is read: how its file is written, its columns, and why each column was chosen.

    readable   the table, or the copy of it that Spark reads
    choices    of each role, the given ones too
    unused     the columns without a role; None where they weren't looked at, since the configuration says all
    reasons    why the file is read as it is, by the keys of the table
    """

    table: InputTable
    readable: InputTable
    columns: RatingColumns
    choices: list[Choice]
    unused: list[str] | None = None
    reasons: dict[str, str]


class Sample(NamedTuple):
    """Rows of a table, by column and as text; the facts of the columns; and what counts in the whole table, see `Pool`."""

    cells: dict[str, Sequence[str]]
    facts: list[ColumnFacts]
    count_all: Callable[[str], tuple[int, int]]


def detect(
    spark: SparkSession,
    wanted: WantedTable,
    wanted_columns: RatingColumns,
    *,
    readable: Callable[[InputTable], InputTable] = lambda table: table,
) -> DetectedInput:
    """Find what the configuration doesn't say of a table of ratings; what it says is obeyed. It acts where rows are looked at.

    `readable` gives a table as Spark reads it (see `unpack.unpacked`); without it, tables are taken as they lie.
    Raises UserError for a file that isn't here or is empty, and for one whose columns can't be told apart; it says what to set.
    """
    said = {role: column for role, column in asdict(wanted_columns).items() if column != AUTO and role != "order"}
    given = [Choice(role=role, column=column, why=GIVEN) for role, column in said.items()]
    if wanted.is_settled and AUTO not in asdict(wanted_columns).values():
        shown = [choice for choice in given if choice.role != "items" or choice.column]
        table = settle_table(wanted)
        return DetectedInput(table=table, readable=readable(table), columns=wanted_columns, choices=shown, reasons={})
    head = read_head(wanted)
    names = _name_columns(head, wanted)
    table = replace(head.table, names=names) if head.names is None else head.table
    copy = readable(table)
    sample = _take_sample(spark, copy, head, names)
    pool = Pool(sample.facts, given, lists=head.lists, count_all=sample.count_all)
    try:
        _choose(pool, head, sample, _open_roles(said))
    except UserError as error:
        raise UserError(f"{wanted.path}: {error}") from None
    choices = pool.choices
    used = {choice.column for choice in choices}
    return DetectedInput(
        table=table,
        readable=copy,
        columns=_as_columns(choices, order=wanted_columns.order),
        choices=sorted(
            (choice for choice in choices if choice.role != "items" or choice.column), key=lambda choice: SHOWN.index(choice.role)
        ),
        unused=[name for name in sample.cells if name not in used and name != wanted_columns.order],
        reasons=head.reasons,
    )


def found_settings(settings: dict[str, Any], detected: DetectedInput) -> dict[str, Any]:
    """The settings of build_sequences with the input as it was found, so that another job reads it in the same way."""
    said = settings["input"]
    left_out = ("path", "format") if detected.table.format == "table" else ("path",)
    table = {name: value for name, value in asdict(detected.table).items() if name in said and name not in left_out}
    return {**settings, "input": {**said, **table, "columns": {**said["columns"], **asdict(detected.columns)}}}


def guard_users(detected: DetectedInput, *, users: int, ratings: int) -> None:
    """Raise UserError if hardly any user has two ratings, and the column of users was found, not said."""
    [choice] = [choice for choice in detected.choices if choice.role == "user_id"]
    if choice.why != GIVEN and ratings >= ENOUGH and users > SINGLE * ratings:
        key = f"{detected.table.key}.columns.user_id"
        raise UserError(
            f"{detected.table.path}: taken as the user, the column {choice.column} ({choice.why}) has {users:,} values in "
            f"{ratings:,} ratings, so that hardly any user has two: set {key} to the right column, or to this one if it is right"
        )


def _name_columns(head: Head, wanted: WantedTable) -> list[str]:
    """The names of the columns, by their places where they have none. UserError where too few or too many are wanted."""
    if wanted.names is not None and head.rows and len(wanted.names) != len(head.rows[0]):
        raise UserError(
            f"{wanted.path}: {wanted.key}.names has {len(wanted.names)} names, but the lines have {len(head.rows[0])} cells: "
            "name all of them"
        )
    return head.names or [f"column_{place}" for place in range(1, len(head.rows[0]) + 1)]


def _open_roles(said: dict[str, str | None]) -> list[str]:
    """The roles that the configuration doesn't say; with a given item no list of items is looked for."""
    roles = [role for role in (*ROLES, "items") if role not in said]
    return [role for role in roles if role != "items" or "item_id" not in said]


def _choose(pool: Pool, head: Head, sample: Sample, roles: Sequence[str]) -> None:
    """Choose the columns of these roles: by their names, or by their places where they have none."""
    items = next((choice.column for choice in pool.choices if choice.role == "items"), None)
    if head.names is None and items is None:
        choose_by_place(pool, roles, sample.cells)
        return
    if head.names is not None:
        choose_user_and_list(pool, roles)
    elif "user_id" in roles:
        choose_user_beside_list(pool)
    items = next((choice.column for choice in pool.choices if choice.role == "items"), None)
    if items is None:
        choose_columns(pool, roles)
        _guard_names(pool, sample)
    else:
        choose_in_list(pool, roles, items, fields=head.fields, cells=sample.cells)


def _guard_names(pool: Pool, sample: Sample) -> None:
    """Raise UserError if user and item were both found by their names, and the ids look like those of the other."""
    pair = [
        fact
        for role in ("user_id", "item_id")
        for choice in pool.choices
        for fact in sample.facts
        if choice.role == role and choice.why != GIVEN and choice.column == fact.name
    ]
    if len(pair) == 2 and are_swapped(*(sample.cells[fact.name] for fact in pair)):
        refuse("user_id", pair, "by their names and by their values the columns of user and item are the reverse")


def _as_columns(choices: Sequence[Choice], *, order: str | None) -> RatingColumns:
    """The columns by their roles. Of a list of plain items, item_id is no column."""
    by_role = {choice.role: choice.column for choice in choices}
    return RatingColumns(
        user_id=by_role["user_id"] or "user_id",
        item_id=by_role.get("item_id") or "item_id",
        rating=by_role.get("rating"),
        timestamp=by_role.get("timestamp"),
        order=order,
        items=by_role.get("items"),
    )


def _take_sample(spark: SparkSession, table: InputTable, head: Head, names: Sequence[str]) -> Sample:
    """Rows of the table: those of its head if it has no others, else the first that Spark reads."""
    is_short = len(head.rows) < LINES // 2 and files.is_local(table.path) and Path(files.local_path(table.path)).is_file()
    if head.rows and (is_short or table.format in ("lists", "blocks")):
        columns = _columns([row for row in head.rows if len(row) == len(names)], len(names))
        facts = describe_columns(names, columns)
        counts = {fact.name: (fact.distinct, fact.values) for fact in facts}
        return Sample(dict(zip(names, columns, strict=True)), facts, counts.__getitem__)
    raw = read_file(spark, table)
    raw = raw.where(F.col(BAD_LINE).isNull()).drop(BAD_LINE) if BAD_LINE in raw.columns[1:] else raw
    number = min(ROWS, CELLS // max(1, len(raw.columns)))
    with reading(table):
        texts = [F.coalesce(_text(raw, name), F.lit("")).alias(str(place)) for place, name in enumerate(raw.columns)]
        rows = [list(row) for row in raw.select(*texts).limit(number).collect()]
    columns = _columns(rows, len(raw.columns))
    cells = dict(zip(raw.columns, columns, strict=True))
    return Sample(cells, describe_columns(raw.columns, columns), partial(_count_values, raw))


def _columns(rows: Sequence[Sequence[str]], width: int) -> list[Sequence[str]]:
    """Rows of a width by column."""
    return [[row[place] for row in rows] for place in range(width)]


def _text(raw: DataFrame, name: str) -> Column:
    """A column as text: lists and structures as JSON."""
    column = io.column(name)
    nested = isinstance(raw.schema[name].dataType, ArrayType | StructType | MapType)
    return F.to_json(column) if nested else column.cast("string")


def _count_values(raw: DataFrame, name: str) -> tuple[int, int]:
    """Act: about how many distinct values a column has, to 2 %, and how many values."""
    distinct, values = raw.agg(F.approx_count_distinct(io.column(name), 0.02), F.count(io.column(name))).collect()[0]
    return distinct, values
