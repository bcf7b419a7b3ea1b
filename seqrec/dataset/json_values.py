"""Values of JSON that Spark reads as text, where it writes another text than the file has."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StringType, StructType

NOT_A_NUMBER = '"NaN"'  # of the token NaN, which Python writes for a missing number: Spark puts it into quotes
INFINITE = ('"Infinity"', '"-Infinity"')  # of the tokens of infinite numbers
LARGE = r"^-?\d\.\d+E([7-9]|[1-9]\d)$"  # of a number with a point from ten millions on, such as 1.2345678E7 of 12345678.0
DIGITS = "decimal(38,0)"


def plain_value(text: Column) -> Column:
    """A value as the file has it: nothing for NaN, and a large whole number such as 12345678.0 with all its digits."""
    whole = text.try_cast(DIGITS)
    large = text.rlike(LARGE) & (whole.cast("double") == text.try_cast("double"))
    return F.when(large, F.concat(whole.cast("string"), F.lit(".0"))).when(text != NOT_A_NUMBER, text)


def plain_values(column: Column, kind: DataType) -> Column:
    """The values of a column as the file has them: of text, of a list of text, and of a list of objects of text."""
    if isinstance(kind, StringType):
        return plain_value(column)
    if not isinstance(kind, ArrayType):
        return column
    if not isinstance(kind.elementType, StructType):
        return F.transform(column, plain_value)
    names = kind.elementType.fieldNames()
    return F.transform(
        column, lambda item: F.when(item.isNotNull(), F.struct(*(plain_value(item.getField(name)).alias(name) for name in names)))
    )
