"""Input tables of users and items beside the ratings: read, checked, and joined by id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NullType, NumericType, StringType, StructType

from seqrec.dataset.id_tables import read_rows, require_columns
from seqrec.dataset.ids import id_column, is_undecoded, number_column, typed_id
from seqrec.dataset.read import VALUE, ExpectedType
from seqrec.dataset.unreadable import reading
from seqrec.errors import UserError
from seqrec.ranking.genres import GenreSource, genre_list
from seqrec.tables import feature_schemas, io
from seqrec.tables.input_table import InputTable

NUMBERS = ExpectedType((StringType, NumericType, BooleanType, NullType), "numbers")


class FeatureColumns(NamedTuple):
    """Names of columns by their use in a model: text is kept, but is no feature."""

    text: tuple[str, ...] = ()
    discrete: tuple[str, ...] = ()
    continuous: tuple[str, ...] = ()

    @property
    def features(self) -> "FeatureColumns":
        """The columns without those of text."""
        return self._replace(text=())

    def followed_by(self, further: "FeatureColumns") -> "FeatureColumns":
        """The columns of two tables.

        >>> FeatureColumns(("title",)).followed_by(FeatureColumns(("imdb",), ("genre",)))
        FeatureColumns(text=('title', 'imdb'), discrete=('genre',), continuous=())
        """
        return FeatureColumns(*(mine + others for mine, others in zip(self, further, strict=True)))

    @property
    def schema(self) -> StructType:
        """The schema of the columns in tables."""
        return feature_schemas.described(text=self.text, discrete=self.discrete, continuous=self.continuous)


NO_COLUMNS = FeatureColumns()


@dataclass(frozen=True, kw_only=True)
class SideTable:
    """A table of one row an id: where it is, its column of the id (None: user_id or item_id), and the columns that are kept."""

    table: InputTable
    id: str | None = None
    columns: FeatureColumns = NO_COLUMNS


class SideTables(NamedTuple):
    """The tables beside the ratings: of users, of items, and further ones that are joined to those of items."""

    users: SideTable | None = None
    items: SideTable | None = None
    joined: tuple[SideTable, ...] = ()


class IdColumn(NamedTuple):
    """The name and the type that an id gets."""

    name: str
    kind: DataType


def read_user_table(spark: SparkSession, side: SideTable | None, *, kind: DataType, max_bad_share: float) -> DataFrame:
    """Act: user_id and the columns to keep, see `typed_side_table`; no rows where there is no table of users."""
    if side is None:
        return spark.createDataFrame([], f"user_id {kind.simpleString()}")
    with reading(side.table):
        raw = read_rows(spark, side.table, max_bad_share=max_bad_share)
        return typed_side_table(raw, side, IdColumn("user_id", kind), max_bad_share=max_bad_share)


def read_item_tables(
    spark: SparkSession, sides: SideTables, genres: GenreSource, *, kind: DataType, max_bad_share: float
) -> DataFrame:
    """Act: item_id, the columns to keep of all tables, and genres; no rows where there is no table of items.

    The table `items` says which items there are: rows of other items in the joined tables are left out.
    """
    first, ids = sides.items, IdColumn("item_id", kind)
    if first is None:
        return spark.createDataFrame([], f"item_id {kind.simpleString()}, genres array<string>")
    with reading(first.table):
        raw = read_rows(spark, first.table, max_bad_share=max_bad_share)
        require_columns(raw, "genres.column", [genres.column] if genres.column else [], path=first.table.place)
        require_columns(raw, "genres.columns", genres.columns or [], path=first.table.place)
        listed = genre_list(raw, genres, path=first.table.place)
        items = typed_side_table(raw, first, ids, max_bad_share=max_bad_share, genres=listed)
    for side in sides.joined:
        with reading(side.table):
            raw = read_rows(spark, side.table, max_bad_share=max_bad_share)
            joined = typed_side_table(raw, side, ids, max_bad_share=max_bad_share)
            items = items.join(joined, "item_id", "left")
    return items


def typed_side_table(
    raw: DataFrame, side: SideTable, ids: IdColumn, *, max_bad_share: float, genres: Column | None = None
) -> DataFrame:
    """Act: a table with unique ids of the type in `ids`, text and discrete columns as strings, continuous ones as floats.

    A continuous value that is no number, infinite or too large for a float becomes null. Raises UserError for a column that
    is missing or has an unsuitable type, for ids that are null, repeated or of another type, and for continuous columns with more
    than max_bad_share of values that became null.
    """
    key, path, columns = side.table.key, side.table.place, side.columns
    id_name = side.id or ids.name
    require_columns(raw, f"{key}.id", [id_name], path=path)
    for kind in FeatureColumns._fields:
        require_columns(raw, f"{key}.{kind}", getattr(columns, kind), path=path)
    _require_types(raw, f"{key}.id", [id_name], VALUE, path=path)
    _require_types(raw, f"{key}.continuous", columns.continuous, NUMBERS, path=path)
    id_kind = raw.schema[id_name].dataType
    id_values = id_column(io.column(id_name), id_kind, side.table.null_values)
    numbers = {name: number_column(raw, name, side.table) for name in columns.continuous}
    typed = {ids.name: typed_id(id_values, id_kind, ids.kind.simpleString())}
    typed |= {name: io.column(name).cast("string") for name in (*columns.text, *columns.discrete)}
    typed |= {name: _finite(number.try_cast("float")) for name, number in numbers.items()}
    wrong = {id_name: typed[ids.name].isNull() | is_undecoded(id_values, id_kind) | (id_values.cast("string") == "")}
    wrong |= {name: number.isNotNull() & typed[name].isNull() for name, number in numbers.items()}
    _guard_values(raw, wrong, side, ids, max_share=max_bad_share)
    kept = [value.alias(name) for name, value in typed.items()] + ([] if genres is None else [genres.alias("genres")])
    table = raw.select(*kept)
    io.assert_unique(table, key=ids.name, path=path)
    return table


def _require_types(raw: DataFrame, key: str, columns: Sequence[str], expected: ExpectedType, *, path: str) -> None:
    """Raise UserError, with the key that names it, for a column of a type that can't be read."""
    for column in columns:
        kind = raw.schema[column].dataType
        if not isinstance(kind, expected.kinds):
            raise UserError(f"{path}: column {column!r} is {kind.simpleString()}, expected {expected.words} for {key}")


def _finite(value: Column) -> Column:
    """A float, null where it is NaN or infinite."""
    return F.when(~F.isnan(value) & (F.abs(value) != float("inf")), value)


def _guard_values(raw: DataFrame, wrong: Mapping[str, Column], side: SideTable, ids: IdColumn, *, max_share: float) -> None:
    """Act: count the wrong values of each column; UserError for a wrong id, or for more than max_share in another column."""
    key, path, id_name = side.table.key, side.table.place, side.id or ids.name
    counts = (F.count_if(test).alias(f"n_{name}") for name, test in wrong.items())
    examples = (F.min(F.when(test, io.column(name).cast("string"))).alias(f"e_{name}") for name, test in wrong.items())
    row = raw.agg(F.count(F.lit(1)).alias("rows"), *counts, *examples).collect()[0]
    for name in wrong:
        count, example = row[f"n_{name}"], row[f"e_{name}"]
        if name == id_name and count:
            raise UserError(
                f"{path}: {count} ids in {name} are null or no {ids.kind.simpleString()}, such as {example!r}: check {key}.id"
            )
        if count > max_share * row["rows"]:
            raise UserError(
                f"{path}: {count} of {row['rows']} values of {name} are no finite numbers, such as {example!r}, max_bad_share "
                f"is {max_share:g}: move it to {key}.discrete, or raise max_bad_share"
            )
