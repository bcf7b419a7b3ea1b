"""Checks of a table before any of it is written to a store."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from seqrec.errors import UserError
from seqrec.stores.milvus import LONGEST_ID
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.vectors import Embeddings
from seqrec.tables import io
from seqrec.tables.io import column

NOT_FOR_LITE = r"['\x00]"  # a regular expression: Milvus Lite builds SQL from ids
EXAMPLES, SHOWN = 3, 4  # rows that an error shows, and columns of each


def count_keys(table: DataFrame, *, key: str, path: str) -> int:
    """Act: the number of rows, if each has a value of the key that no other has.

    Raises UserError, with counts and examples, for nulls and for repeated values; and for a table without rows.
    """
    counts = table.agg(F.count("*").alias("rows"), F.count(column(key)).alias("keys")).first()
    assert counts is not None
    if not counts["rows"]:
        raise UserError(f"{path} holds no rows: there is nothing to write")
    missing = counts["rows"] - counts["keys"]
    if missing:
        shown = table.where(column(key).isNull()).select(*(column(name) for name in table.columns[:SHOWN]))
        examples = [row.asDict() for row in shown.limit(EXAMPLES).collect()]
        raise UserError(f"{path}: {missing} of {counts['rows']} rows have no {key}, e.g. {examples}: fill or drop them")
    io.assert_unique(table, key=key, path=path)
    return int(counts["rows"])


def check_embeddings(table: DataFrame, alias: MilvusAlias, *, path: str, dim: int | None = None) -> Embeddings:
    """Act: the table with its number of rows and its width, if it may be written to the alias; its first column is the key.

    The width is `dim`, or without it the one that most embeddings have. Raises UserError, with counts and examples, for no rows,
    missing and repeated keys, embeddings of another width, values that aren't finite, nulls in the other columns, and keys that
    the store can't take.
    """
    key = table.columns[0]
    rows = count_keys(table, key=key, path=path)
    width = dim or _usual_width(table, path)
    size = F.coalesce(F.size("embedding"), F.lit(0))
    misfit, finite = size != width, F.coalesce(F.forall("embedding", is_finite), F.lit(False))
    others = [name for name in table.columns if name not in (key, "embedding")]
    counts = table.agg(
        F.count_if(misfit).alias("misfits"),
        F.min(F.when(misfit, F.struct(column(key).alias("key"), size.alias("size")))).alias("misfit"),
        F.count_if(~finite).alias("infinite"),
        F.min(F.when(~finite, column(key))).alias("not_finite"),
        _smallest_refused(table, alias).alias("refused"),
        *(F.count_if(column(name).isNull()).alias(f"nulls of {name}") for name in others),
    ).first()
    assert counts is not None
    if counts["misfits"]:
        example = f"that of {key} {counts['misfit']['key']!r} has {counts['misfit']['size']} values"
        raise UserError(f"{path}: {counts['misfits']} of {rows} embeddings are not {width} wide, e.g. {example}: mend the table")
    if counts["infinite"]:
        example = f"that of {key} {counts['not_finite']!r}"
        raise UserError(f"{path}: {counts['infinite']} of {rows} embeddings aren't finite, e.g. {example}: mend the table")
    if counts["refused"] is not None:
        raise _refusal(counts["refused"], key, alias, path)
    for name in others:
        if counts[f"nulls of {name}"]:
            raise UserError(f"{path}: {counts[f'nulls of {name}']} of {rows} rows have no {name}: fill them, or drop the column")
    return Embeddings(table=table, rows=rows, dim=width)


def check_keys(table: DataFrame, alias: MilvusAlias, *, path: str) -> None:
    """Act: raise UserError if the store can't take a key of the table, which is its first column."""
    smallest = table.agg(_smallest_refused(table, alias).alias("refused")).first()
    if smallest is not None and smallest["refused"] is not None:
        raise _refusal(smallest["refused"], table.columns[0], alias, path)


def is_finite(value: Column) -> Column:
    """Whether a number is neither NaN nor infinite."""
    return ~F.isnan(value) & (F.abs(value) < F.lit(float("inf")))


def _usual_width(table: DataFrame, path: str) -> int:
    """Act: the size that most embeddings have, the largest of equally frequent ones; UserError if most are null or empty."""
    sizes = table.groupBy(F.size("embedding").alias("size")).count().orderBy(F.desc("count"), F.desc_nulls_last("size")).first()
    if sizes is None or not sizes["size"]:
        raise UserError(f"{path} holds no embeddings: most are null or empty")
    return int(sizes["size"])


def _smallest_refused(table: DataFrame, alias: MilvusAlias) -> Column:
    """An aggregate: the beginning of the smallest key that the store can't take, null if it takes all."""
    key = column(table.columns[0])
    if not isinstance(table.schema[0].dataType, StringType):
        return F.min(F.lit(None).cast("string"))
    long = F.octet_length(key) > LONGEST_ID
    refused = long if alias.server.aliases else long | key.rlike(NOT_FOR_LITE)
    return F.min(F.when(refused, F.substring(key, 1, 50)))


def _refusal(value: str, key: str, alias: MilvusAlias, path: str) -> UserError:
    """The error for a key that the store can't take."""
    limits = f"at most {LONGEST_ID} bytes" + ("" if alias.server.aliases else ", without ' or the character 0")
    return UserError(f"{path}: {alias} takes a {key} of {limits}, not {value!r}; use a Milvus server, or leave Milvus out")
