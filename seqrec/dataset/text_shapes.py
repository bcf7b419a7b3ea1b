"""Text that is no table of equal rows: a line a user with its items, and lines of ratings below the line of their item."""

import re

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from seqrec.dataset.parse import BAD_LINE
from seqrec.tables.input_table import InputTable
from seqrec.tables.numbering import row_counter

BLOCK = r"^\s*([^\s,;|:]+)\s*:\s*$"  # the line above a block of ratings


def read_lists(text: DataFrame, table: InputTable) -> DataFrame:
    """The user and the list of items of each line, under the table's two names."""
    user, items = list(table.names or ("user_id", "items"))[:2]
    words = F.split(F.trim("line", F.lit(" \t")), _expression(table.delimiter))
    return text.select(
        F.get(words, F.lit(0)).alias(user), F.slice(words, F.lit(2), F.greatest(F.size(words) - 1, F.lit(0))).alias(items)
    )


def read_blocks(text: DataFrame, table: InputTable) -> DataFrame:
    """Act: the cells of each line below the item of the last line `ITEM:` above it in its file, and BAD_LINE.

    The first pass finds the last such line in each block of a file that one task reads, because the ratings below it may go on
    in the next block. Lines above the first have no item.
    """
    item, *names = list(table.names or ("item_id", "user_id", "rating", "timestamp"))
    line, title = F.col("line"), F.regexp_extract("line", BLOCK, 1)
    lines = text.select(
        "line",
        F.when(title != "", title).alias("_title"),
        F.col("_metadata.file_path").alias("_source"),
        F.col("_metadata.file_block_start").alias("_block"),
        row_counter().alias("_counter"),
    )
    above = F.last("_title", ignorenulls=True).over(Window.partitionBy("_source", "_block").orderBy("_counter"))
    cells = F.split(line, _expression(table.delimiter))
    begun = lines.join(F.broadcast(_titles_above(lines)), ["_source", "_block"])
    rows = begun.withColumn("_item", F.coalesce(above, F.col("_above"))).where(F.col("_title").isNull())
    return rows.select(
        F.col("_item").alias(item),
        *(F.get(cells, F.lit(place)).alias(name) for place, name in enumerate(names)),
        F.when(F.size(cells) != len(names), line).alias(BAD_LINE),
    )


def _titles_above(lines: DataFrame) -> DataFrame:
    """Act: for each block of a file the item whose ratings it begins with, null for the first: _source, _block, _above."""
    last = F.max_by("_title", F.when(F.col("_title").isNotNull(), F.col("_counter"))).alias("last")
    blocks = sorted(tuple(row) for row in lines.groupBy("_source", "_block").agg(last).collect())
    rows, source, above = [], "", None
    for file, block, title in blocks:
        above = above if file == source else None
        rows.append((file, block, above))
        source, above = file, title or above
    return lines.sparkSession.createDataFrame(rows, "_source string, _block bigint, _above string")


def _expression(delimiter: str) -> str:
    """A delimiter as Java's regular expression; a space stands for one or several."""
    return " +" if delimiter == " " else re.escape(delimiter)
