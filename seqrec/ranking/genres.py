"""The genres of items: one column with all of them, or a column of 0 and 1 for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType

from seqrec.errors import UserError
from seqrec.tables import io


@dataclass(frozen=True, kw_only=True)
class GenreSource:
    """Where the table of items has its genres: in one column, in columns of 0 and 1 named as the genres, or (both None) nowhere.

    delimiter   between the genres of a column that is text
    most        distinct genres: if there are more, the delimiter is wrong
    """

    column: str | None = None
    columns: Sequence[str] | None = None
    delimiter: str = "|"
    most: int = 100


def genre_list(raw: DataFrame, source: GenreSource, *, path: str) -> Column:
    """An item's genres, distinct and in the table's order: empty for an item without any, null where the table has no genres.

    A column is text with a delimiter, a JSON list as text, or a list of text. It acts to check columns of 0 and 1. Raises
    UserError for a column of another shape.
    """
    column, delimiter = source.column, source.delimiter
    if source.columns is not None:
        _require_flags(raw, source.columns, path=path)
        flags = (F.when(io.column(name).cast("string").try_cast("double") == 1, name) for name in source.columns)
        return F.array_compact(F.array(*flags))
    if column is None:
        return F.lit(None).cast("array<string>")
    kind = raw.schema[column].dataType
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, StringType):
        listed = io.column(column)
    elif isinstance(kind, StringType):
        text = F.trim(io.column(column))
        split = F.split(text, f"\\Q{delimiter}\\E")
        listed = F.coalesce(F.when(text.startswith("["), F.from_json(text, ArrayType(StringType()))), split)
    else:
        raise UserError(
            f"{path}: genres.column={column} is {kind.simpleString()}, expected text such as A{delimiter}B or a list of text; "
            "columns of 0 and 1 are genres.columns=[…]"
        )
    trimmed = F.transform(F.coalesce(listed, F.array()), lambda genre: F.trim(genre))
    return F.array_distinct(F.filter(trimmed, lambda genre: genre != ""))


def distinct_genres(items: DataFrame, source: GenreSource, *, path: str) -> list[str]:
    """Act: the genres of all items, sorted; UserError for more than `most`, as a wrong delimiter makes them."""
    most = source.most
    rows = items.select(F.explode("genres").alias("genre")).distinct().orderBy("genre").limit(most + 1).collect()
    genres = [str(row["genre"]) for row in rows]
    if len(genres) > most:
        longest = max(genres, key=len)
        raise UserError(
            f"{path} has more than {most} genres, such as {longest!r}: is genres.delimiter={source.delimiter!r} right? "
            f"If it is, raise genres.most"
        )
    return genres


def _require_flags(raw: DataFrame, columns: Sequence[str], *, path: str) -> None:
    """Act: raise UserError, with a count and an example, if values are neither 0 nor 1."""
    flags = {name: io.column(name).cast("string") for name in columns}
    wrong = {name: ~F.coalesce(flag.try_cast("double").isin(0.0, 1.0), F.lit(False)) for name, flag in flags.items()}
    first = F.coalesce(
        *(F.when(test, F.concat(F.lit(f"{name}="), F.coalesce(flags[name], F.lit("null")))) for name, test in wrong.items())
    )
    count, example = raw.agg(F.count(first), F.min(first)).collect()[0]
    if count:
        raise UserError(
            f"{path}: {count} rows have genres.columns that are neither 0 nor 1, such as {example}: "
            "name the columns of 0 and 1 alone, and check items.names and items.delimiter"
        )
