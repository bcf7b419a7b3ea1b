"""Columns of a schema, by name and type."""

from pyspark.sql.types import DataType, StructField, StructType


def never_null(**columns: DataType) -> StructType:
    """A schema of columns that are never null."""
    return StructType([StructField(name, kind, nullable=False) for name, kind in columns.items()])


def nullable(**columns: DataType) -> StructType:
    """A schema of columns that may be null."""
    return StructType([StructField(name, kind) for name, kind in columns.items()])
