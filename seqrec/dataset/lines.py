"""The order of the lines of a file."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.tables.numbering import CountedPart, number_rows, row_counter


def number_lines(raw: DataFrame) -> tuple[DataFrame, str]:
    """Act: the input with its line numbers, from 0, in one more column, and that column's name; the same however it is split.

    Spark reads a file in blocks, each in order and by one task, so the blocks are the parts that `number_rows` wants. Raises
    UserError for an input of several files, whose order means nothing.
    """
    line = next(name for name in ("line", "line_number", "_line_number_") if name not in raw.columns)
    counted = raw.select(
        "*",
        F.col("_metadata.file_path").alias("_source"),
        F.col("_metadata.file_block_start").alias("_block"),
        row_counter().alias("_counter"),
    )
    least, rows = F.min("_counter").alias("least"), F.count(F.lit(1)).alias("rows")
    blocks = counted.groupBy("_source", "_block").agg(least, rows).collect()
    sources = sorted({block["_source"] for block in blocks})
    if len(sources) > 1:
        raise UserError(
            f"input.columns.timestamp=null takes the order of lines, but the input has {len(sources)} files "
            f"({', '.join(sources[:3])}): give one file, or a timestamp column"
        )
    parts = [CountedPart(block["_block"], block["least"], block["rows"]) for block in blocks]
    return number_rows(counted, parts, part="_block", counter="_counter", number=line).select(*raw.columns, line), line
