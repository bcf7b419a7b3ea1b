"""What only the lines of a file tell: their order, and the keys of JSON lines."""

from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.dataset.content import decode_start, first_content
from seqrec.dataset.first_files import first_file
from seqrec.dataset.json_head import JsonRows, json_rows, parse_object
from seqrec.errors import UserError
from seqrec.tables import io
from seqrec.tables.input_table import InputTable
from seqrec.tables.numbering import CountedPart, number_rows, row_counter

HEAD = 1000  # lines that are looked at for keys


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


class HeadKeys(NamedTuple):
    """The keys of JSON in the order of their appearance, those that hold lists, and of lists of objects the keys of these."""

    names: list[str]
    lists: list[str]
    fields: dict[str, list[str]]


def head_keys(spark: SparkSession, where: str, *, encoding: str) -> HeadKeys:
    """Act: the keys in the first lines of JSON lines; a line that doesn't parse has none."""
    lines = io.reader(spark, where).option("encoding", encoding).text(where).limit(HEAD).collect()
    parsed = [parse_object(row[0]) for row in lines]
    found = JsonRows([row for row in parsed if isinstance(row, dict)], False, 0)
    return HeadKeys(found.names, found.lists, found.fields)


def array_keys(table: InputTable) -> HeadKeys:
    """The keys of the first objects in an array of JSON, of the first file that has content."""
    path = first_file(table.path).path
    content = first_content(path, member=None)
    found = json_rows(decode_start(content, table.encoding, path, whole=True), path)
    return HeadKeys(found.names, found.lists, found.fields)
