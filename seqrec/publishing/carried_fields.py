"""Lists whose items carry fields of their own, such as titles, on their way into documents."""

import logging
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import ArrayType, DataType, LongType, StructField, StructType

from seqrec.catalogue.item_fields import OPTIONS, ItemFields
from seqrec.errors import UserError
from seqrec.stores.documents import columns_not_for_bson, extend_batches
from seqrec.tables.python_tasks import map_batches

log = logging.getLogger("seqrec")


def require_fields(items: DataFrame, fields: ItemFields) -> None:
    """Act: log how many of the items (a column item_id) have fields; UserError if none has, or if BSON can't hold a field."""
    try:
        misfits = columns_not_for_bson(from_arrow_schema(fields.table.schema))
    except (TypeError, NotImplementedError) as error:
        raise UserError(f"mongo.item_columns: {fields.words} has a type that MongoDB can't hold ({error}): take others") from None
    if misfits:
        raise UserError(f"mongo.item_columns: MongoDB can't hold {', '.join(misfits)}: take other columns")
    kind = _arrow_id(items.schema)
    ids = pa.array(sorted(row["item_id"] for row in items.select("item_id").collect()), kind)
    known = pc.sum(pc.is_in(ids, value_set=fields.typed(kind)["item_id"])).as_py() or 0
    if len(ids) and not known:
        there, shown = (", ".join(map(repr, some[:3].to_pylist())) for some in (fields.table["item_id"], ids))
        raise UserError(
            f"{fields.words}: its ids ({there}, …) are none of the items' ({shown}, …): say by {OPTIONS.key} which has them"
        )
    log.info("%s: %s of %s items have them, the others null", fields.words, f"{known:,}", f"{len(ids):,}")


def with_fields(lists: DataFrame, fields: ItemFields) -> DataFrame:
    """The lists with further fields in each element of `items` and, where there are any, `next_items`; null if an item has none.

    The fields travel with the tasks; a batch of lists is looked up at once.
    """
    kind = lists.schema["items"].dataType
    assert isinstance(kind, ArrayType)
    assert isinstance(kind.elementType, StructType)
    table = fields.typed(_arrow_id(kind.elementType))
    further = [field for field in from_arrow_schema(table.schema) if field.name != "item_id"]
    arrays = ("items", "next_items")
    schema = [
        StructField(field.name, _longer(field.dataType, further), field.nullable) if field.name in arrays else field
        for field in lists.schema
    ]
    return map_batches(lists, partial(extend_batches, table=table), StructType(schema))


def _longer(kind: DataType, further: list[StructField]) -> ArrayType:
    """The type of lists whose elements, and those of their own list `because`, have further fields."""
    assert isinstance(kind, ArrayType)
    assert isinstance(kind.elementType, StructType)
    own = [
        StructField(field.name, _longer(field.dataType, further), field.nullable) if field.name == "because" else field
        for field in kind.elementType
    ]
    return ArrayType(StructType([*own, *further]), kind.containsNull)


def _arrow_id(schema: StructType) -> pa.DataType:
    """Arrow's type of the column item_id."""
    return pa.int64() if isinstance(schema["item_id"].dataType, LongType) else pa.string()
