"""The columns of all files of a Parquet table: what a file lacks is null there; types that don't go together are refused.

By itself Spark takes the columns of one file. Any other column is dropped for all rows, and values are read as that file's type,
so that microseconds beside nanoseconds become other times. The driver reads the footers of all files, 16 at a time: 0.2 ms each
on a local disk. Where they differ, Spark says the types of one file of each kind.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DataType, DecimalType, StructField, StructType

from seqrec.dataset.role_names import KNOWN, best_named
from seqrec.errors import UserError
from seqrec.storage import files, parts
from seqrec.storage.path_files import is_hidden
from seqrec.tables import io
from seqrec.tables.input_table import InputTable

log = logging.getLogger("seqrec")

WIDENING = (  # a type holds all values of those before it, and Spark reads their files as this type
    ("tinyint", "smallint", "int", "bigint"),
    ("tinyint", "smallint", "int", "double"),
    ("float", "double"),
    ("timestamp", "timestamp_ntz"),
    ("date", "timestamp_ntz"),
)
SHOWN = 5  # columns that the log names
Shape = tuple[tuple[str, str, str], ...]  # a file's leaves: the path of each, and its types as Parquet has them


def read_parts(spark: SparkSession, table: InputTable, *, used: Collection[str] | None) -> DataFrame:
    """Act: a Parquet table with the columns of all its files, null in those without one, which a warning says.

    Raises UserError for a file of 0 bytes, which Spark would leave out silently, and for a used column (None: one of a known
    name) whose types in two files don't go together.
    """
    raw = io.read_parquet(spark, table.path)
    groups = _group(sorted(unquote(file) for file in raw.inputFiles()), table)
    if len(groups) < 2:
        return raw
    schemas = {group[0]: io.read_parquet(spark, group[0]).schema for group in groups}
    merged = _merge(schemas, table, used=None if used is None else {name.lower() for name in used})
    _say_merged(table, merged, [(schemas[group[0]], group) for group in groups])
    return io.reader(spark, table.path).schema(merged).parquet(files.absolute(table.path))


def wider(one: DataType, other: DataType) -> DataType | None:
    """The type that holds the values of both, of lists and structures by their elements and fields; None if there is none.

    >>> from pyspark.sql.types import DoubleType, IntegerType, LongType
    >>> wider(IntegerType(), LongType()), wider(LongType(), DoubleType()), wider(DecimalType(5, 1), DecimalType(9, 1))
    (LongType(), None, DecimalType(9,1))
    """
    names = [one.simpleString(), other.simpleString()]
    if names[0] == names[1]:
        return one
    for types in WIDENING:
        if set(names) <= set(types):
            return one if types.index(names[0]) > types.index(names[1]) else other
    if isinstance(one, DecimalType) and isinstance(other, DecimalType) and one.scale == other.scale:
        return one if one.precision > other.precision else other
    if isinstance(one, ArrayType) and isinstance(other, ArrayType):
        element = wider(one.elementType, other.elementType)
        return None if element is None else ArrayType(element)
    return _wider_struct(one, other) if isinstance(one, StructType) and isinstance(other, StructType) else None


def _wider_struct(one: StructType, other: StructType) -> StructType | None:
    """The fields of both, in the wider types; None if a field has types that don't go together."""
    fields = {field.name.lower(): field for field in one}
    for field in other:
        first = fields.get(field.name.lower(), field)
        kind = wider(first.dataType, field.dataType)
        if kind is None:
            return None
        fields[field.name.lower()] = StructField(first.name, kind)
    return StructType(list(fields.values()))


def _group(paths: Sequence[str], table: InputTable) -> list[list[str]]:
    """The files in groups of the same columns and types, in order. Without those that lack a footer: Spark names them."""
    groups: dict[Shape, list[str]] = {}
    wanted = [path for path in paths if not is_hidden(path.rsplit("/", 1)[-1])]
    with ThreadPoolExecutor(parts.READERS) as threads:
        for path, shape in zip(wanted, threads.map(partial(_shape, table=table), wanted), strict=True):
            if shape is not None:
                groups.setdefault(shape, []).append(path)
    return list(groups.values())


def _shape(path: str, *, table: InputTable) -> Shape | None:
    """The leaves of a file, None without a footer. UserError for a file of 0 bytes."""
    try:
        footer = parts.footer_of(path)
        if footer is None and not files.size_of(path):
            raise UserError(f"{table.key}.path: {path} has 0 bytes, as no whole Parquet file has: write it again, or remove it")
    except FileNotFoundError:
        return None
    leaves = [] if footer is None else [footer.schema.column(place) for place in range(footer.num_columns)]
    return None if footer is None else tuple((leaf.path, leaf.physical_type, str(leaf.logical_type)) for leaf in leaves)


def _merge(schemas: Mapping[str, StructType], table: InputTable, *, used: Collection[str] | None) -> StructType:
    """The columns of all files, each in its widest type; of one that isn't used, if there is none, in that of its first file.

    If it isn't known what is used, a column whose name is known for a role counts as used, and another one is left out.
    """
    merged: dict[str, StructField] = {}
    owners: dict[str, str] = {}  # the file that has the column in its widest type
    mixed: dict[str, str] = {}  # columns that are left out, and why
    for file, schema in schemas.items():
        for field in schema:
            name = field.name.lower()
            first, owner = merged.setdefault(name, field), owners.setdefault(name, file)
            kind = wider(first.dataType, field.dataType)
            if kind is None and used is None and not any(best_named([first.name], role) for role in KNOWN):
                mixed[name] = _differing(first.name, owner, field.name, file)
            elif kind is None and (used is None or name in used):
                spare = f"; if it isn't used, set {table.key}.format=parquet and all of {table.key}.columns"
                raise UserError(
                    f"{table.key}.path: the column {_differing(first.name, owner, field.name, file)}, and no type holds the "
                    f"values of both: write all parts with one type, by a cast of {first.name}{spare if used is None else ''}"
                )
            if kind is not None and kind != first.dataType:
                merged[name], owners[name] = StructField(first.name, kind), file
    for why in mixed.values():
        _say(logging.WARNING, f"{table.place}: the column {why}: it isn't looked at; write it in one type if it is needed")
    return StructType([field for name, field in merged.items() if name not in mixed])


def _differing(first: str, owner: str, second: str, file: str) -> str:
    """A column with its types in two files, in words."""
    return f"{first} is {_arrow_type(owner, first)} in {owner}, but {_arrow_type(file, second)} in {file}"


def _arrow_type(path: str, column: str) -> str:
    """The type of a column in a file, as pyarrow and pandas call it: Spark's bigint may be an int64 or a timestamp[ns]."""
    footer = parts.footer_of(path)
    return "of another type" if footer is None else str(footer.schema.to_arrow_schema().field(column).type)[:80]


def _say_merged(table: InputTable, merged: StructType, groups: Sequence[tuple[StructType, Sequence[str]]]) -> None:
    """Log the columns that files lack, and those whose types differ."""
    number = sum(len(group) for _, group in groups)
    lacking, widened = [], []
    for field in merged:
        kinds = [{other.name.lower(): other.dataType for other in schema}.get(field.name.lower()) for schema, _ in groups]
        without = [file for kind, (_, group) in zip(kinds, groups, strict=True) if kind is None for file in group]
        if without:
            lacking.append(f"{field.name} ({len(without)} of {number} files lack it, such as {without[0]})")
        if len({kind.simpleString() for kind in kinds if kind is not None}) > 1:
            widened.append(f"{field.name} as {field.dataType.simpleString()}")
    if lacking:
        _say(logging.WARNING, f"{table.place}: columns are null where a file lacks them: {_shortened(lacking)}")
    if widened:
        _say(logging.INFO, f"{table.place}: columns with several types are read in the widest: {_shortened(widened)}")


def _shortened(words: Sequence[str]) -> str:
    """The first of many words."""
    return ", ".join([*words[:SHOWN], *(["…"] if len(words) > SHOWN else [])])


@cache
def _say(level: int, message: str) -> None:
    """Log a message once: a table is read for its first rows, and then whole."""
    log.log(level, "%s", message)
