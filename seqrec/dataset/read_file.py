"""A table of any supported format as Spark reads it; nothing is parsed yet.

CSV and JSON are text. What can't be cut into its cells, because a line has another number of them or is no JSON, is in one more
column, BAD_LINE, found in the same pass; the cells of such a row are those that Spark could read.
"""

from collections.abc import Collection, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DataType, StringType, StructField, StructType

from seqrec.dataset.dialect import column_names, header_cells
from seqrec.dataset.input_files import first_lines, guard_headers, guard_text
from seqrec.dataset.json_keys import HeadKeys, json_keys, keys_with_values
from seqrec.dataset.json_values import plain_values
from seqrec.dataset.parse import BAD_LINE
from seqrec.dataset.part_schemas import read_parts
from seqrec.dataset.spark_tables import SPARK_TABLES, open_spark_table, table_format
from seqrec.dataset.text_shapes import read_blocks, read_lists
from seqrec.dataset.unreadable import SPARK_ERRORS, unreadable
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tables import io
from seqrec.tables.input_table import InputTable

NAMES = ("user_id", "item_id", "rating", "timestamp")  # of the columns of a CSV without header, by default
TEXT = StringType()


def read_file(spark: SparkSession, table: InputTable, *, used: Collection[str] | None = None) -> DataFrame:
    """Act: a table as it is: CSV and JSON as text, but for JSON's lists, which are lists of text or of objects of text.

    JSON has the keys that `json_keys` finds, and those that are `used` and have a value in some line. Of text the first line of
    each file is looked at, of Parquet its footer. Raises UserError for a missing file, one of another format, files of a CSV with
    other columns, files of Parquet with other types of a column that is used (None: any), and a folder that is being written.
    """
    if table.format in SPARK_TABLES:
        return open_spark_table(spark, table)
    _guard_path(table)
    where = files.absolute(table.path)
    try:
        if table.format == "parquet":
            return read_parts(spark, table, used=used)
        lines = first_lines(spark, io.reader(spark, where).text(where))
        guard_text(lines, table)
        if table.format == "json":
            keys = json_keys(spark, where, table)
            inner = {name.lower() for names in (keys.names, *keys.fields.values()) for name in names}
            late = [name for name in dict.fromkeys(used or ()) if name.lower() not in inner]
            raw = _read_json(spark, where, table, keys._replace(names=[*keys.names, *late]))
            return raw.drop(*set(late).difference(keys_with_values(raw, late)))
        if table.format in ("lists", "blocks"):
            text = _read_lines(spark, where, table)
            return read_lists(text, table) if table.format == "lists" else read_blocks(text, table)
        if table.header:
            guard_headers(lines, table)
        return _read_csv(spark, where, table, first=next(iter(lines.values()), ""))
    except SPARK_ERRORS as error:
        raise unreadable(error, table) from None


def first_line(spark: SparkSession, table: InputTable) -> str:
    """Act: the first line of a table of text, shortened, for messages; empty for other formats."""
    if table.format not in ("csv", "json", "lists", "blocks"):
        return ""
    lines = io.reader(spark, table.path).text(files.absolute(table.path)).head(1)
    return str(lines[0][0])[:120] if lines else ""


def _guard_path(table: InputTable) -> None:
    """Raise UserError for a path that isn't there or is being written, and for files of a table that only Spark knows to read."""
    key, path = table.key, table.path
    if not files.exists(path):
        if any(mark in path for mark in "*?[{"):
            return  # a pattern: Spark says where it matches nothing
        raise UserError(f"{key}.path={path}: no such file or folder")
    if files.exists(files.join(path, "_temporary")):
        raise UserError(
            f"{key}.path={path} is still being written, or the job that wrote it was stopped: it holds the folder _temporary; "
            "wait until it is whole, or write it again"
        )
    if kind := table_format(path):
        raise UserError(
            f"{key}.path={path} is a table of {kind.capitalize()}; as {key}.format={table.format}, files of older versions "
            f"are read too: set {key}.format={kind} or leave it out"
        )


def _read_csv(spark: SparkSession, where: str, table: InputTable, *, first: str) -> DataFrame:
    """CSV as text, with the columns of its first line, which is given, and BAD_LINE."""
    cells = header_cells(first, table)
    names = column_names(cells) if table.header else []
    if table.names is not None or not table.header:
        named = list(NAMES[: len(cells) or None] if table.names is None else table.names)
        width = max(len(cells), len(named))  # a header may lack the name of a last, empty column
        names = named + [f"_c{place}" for place in range(len(named), width)]
    reader = io.reader(spark, where).options(
        sep=table.delimiter,
        header=table.header,
        encoding=table.encoding,
        quote=table.quote or "",
        escape=table.escape,
        multiLine=table.multiline,
        columnNameOfCorruptRecord=BAD_LINE,
        columnPruning=False,  # else a query that leaves a column out counts no bad lines
    )
    return reader.schema(_text_columns(names)).csv(where)


def _read_lines(spark: SparkSession, where: str, table: InputTable) -> DataFrame:
    """Lines of text in one column, `line`, whose encoding Spark's reader of text doesn't take; without a header."""
    reader = io.reader(spark, where).options(sep="\x01", header=table.header and table.format == "lists", quote="")
    return reader.option("encoding", table.encoding).schema(StructType([StructField("line", TEXT)])).csv(where)


def _read_json(spark: SparkSession, where: str, table: InputTable, keys: HeadKeys) -> DataFrame:
    """JSON with every key as text, so that whole numbers keep all their digits and NaN is null, and BAD_LINE."""
    kinds: dict[str, DataType] = dict.fromkeys(keys.names, TEXT)
    kinds |= dict.fromkeys(keys.lists, ArrayType(TEXT))
    kinds |= {name: ArrayType(_text_columns(inner, bad_line=False)) for name, inner in keys.fields.items()}
    schema = StructType([*(StructField(name, kind) for name, kind in kinds.items()), StructField(BAD_LINE, TEXT)])
    reader = io.reader(spark, where).options(multiLine=table.multiline, columnNameOfCorruptRecord=BAD_LINE)
    if not table.multiline and table.encoding.upper() not in ("UTF-8", "UTF8"):
        reader = reader.option("lineSep", "\n")  # Spark demands it; a carriage return before it is a space of JSON
    raw = reader.option("encoding", table.encoding).schema(schema).json(where)
    values = {name: plain_values(io.column(name), kind) for name, kind in kinds.items()}
    return raw.select(*(values.get(name, io.column(name)).alias(name) for name in raw.columns))


def _text_columns(names: Sequence[str], *, bad_line: bool = True) -> StructType:
    """A schema of text."""
    return StructType([StructField(name, TEXT) for name in (*names, *([BAD_LINE] if bad_line and names else []))])
