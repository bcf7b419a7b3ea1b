"""The data dictionary: one schema per table. Ids are bigint or string, so their type is a parameter.

No column is null unless its comment says so.
"""

from collections.abc import Callable

from pyspark.sql.types import (
    ArrayType,
    DataType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from seqrec.indices import FIRST_ITEM as FIRST_ITEM
from seqrec.indices import MASK as MASK
from seqrec.indices import PADDING as PADDING

IDS: dict[str, DataType] = {"bigint": LongType(), "string": StringType()}
ITEM_INDICES = ArrayType(IntegerType(), containsNull=False)
EMBEDDING = ArrayType(FloatType(), containsNull=False)


def _table(**columns: DataType) -> StructType:
    return StructType([StructField(name, kind, nullable=False) for name, kind in columns.items()])


def _scored(item_type: DataType) -> ArrayType:
    return ArrayType(_table(item_id=item_type, score=FloatType()), containsNull=False)


def items(item: DataType) -> StructType:
    """Key item_id, and item_idx (2 to V+1, by count descending, then item_id); count is in training events."""
    return _table(item_id=item, item_idx=IntegerType(), count=LongType())


def events(user: DataType) -> StructType:
    """Key (user_id, position). Timestamp in epoch ms, position from 0; split is train, valid or test; rating may be null."""
    return StructType(
        [
            StructField("user_id", user, nullable=False),
            StructField("item_idx", IntegerType(), nullable=False),
            StructField("rating", FloatType(), nullable=True),
            StructField("timestamp", LongType(), nullable=False),
            StructField("position", IntegerType(), nullable=False),
            StructField("split", StringType(), nullable=False),
        ]
    )


def sequences(user: DataType) -> StructType:
    """Key user_id. Items oldest first, the newest max_history; timestamps beside them; seen is distinct, sorted, unbounded."""
    return _table(user_id=user, items=ITEM_INDICES, timestamps=ArrayType(LongType(), containsNull=False), seen=ITEM_INDICES)


def windows() -> StructType:
    """No key. Items oldest first, length (2 to max_len + 1) of them. One row group a file, files of near-equal rows."""
    return _table(items=ITEM_INDICES, length=IntegerType())


def held_out(user: DataType) -> StructType:
    """Key user_id: tables valid and test. Items are the input, oldest first; seen goes up to the target (an item_idx)."""
    return _table(user_id=user, items=ITEM_INDICES, seen=ITEM_INDICES, target=IntegerType())


def recommendations(user: DataType, item: DataType) -> StructType:
    """Key user_id. Items best first, ties by item_idx; source is model or popular."""
    return _table(
        user_id=user,
        items=_scored(item),
        source=StringType(),
        model=StringType(),
        run_id=StringType(),
        generated_at=TimestampType(),
    )


def user_embeddings(user: DataType) -> StructType:
    """Key user_id: the query vector of a user's history. Users without known items have no row."""
    return _table(user_id=user, embedding=EMBEDDING, model=StringType(), run_id=StringType())


def item_embeddings(item: DataType) -> StructType:
    """Key item_id: the row of the item matrix, what a query is multiplied with."""
    return _table(item_id=item, item_idx=IntegerType(), embedding=EMBEDDING)


def similar_items(item: DataType) -> StructType:
    """Key item_id. Other items, best first, ties by item_id; items without any have no row."""
    return _table(item_id=item, items=_scored(item))


def predictions(user: DataType, item: DataType) -> StructType:
    """Key user_id: what evaluate saves. Target is an item_id, rank counts from 1, items are best first."""
    return _table(user_id=user, target=item, rank=LongType(), items=_scored(item))


Schema = Callable[..., StructType]
