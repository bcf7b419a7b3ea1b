"""Tries what the stores would refuse of a model's lists and items, before hours of scoring or training."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from seqrec.errors import UserError
from seqrec.publishing.carried_fields import require_fields
from seqrec.publishing.destinations import Destinations, MilvusDestination
from seqrec.serving.exports import Export
from seqrec.storage import files
from seqrec.stores import milvus, mongo
from seqrec.stores.checks import check_embeddings, check_keys
from seqrec.stores.mongo_collection import MOST_DOCUMENT_BYTES
from seqrec.tables import io, schemas

ENTRY_BYTES = 33  # of an item in a BSON list: frames, names, types and the score, without the digits of its rank and its id
OTHER_BYTES = 4096  # of a document beside its items: ids, names and times


def rehearse(spark: SparkSession, destinations: Destinations, *, export: Export, lengths: tuple[int, int], whole: bool) -> None:
    """Act: try to write to both stores, and check the items of an export against them.

    `lengths` are those of a user's lists: top_k and horizon. `whole` says whether all users are scored: only then are the items
    written to Milvus. Raises UserError, before anything is scored, for names and rights that are refused, for lists that are too
    long for a document, and for items that Milvus can't take.
    """
    item = schemas.IDS[export.meta.id_types.item]
    items = io.read_table(spark, export.embeddings, schemas.item_embeddings(item))
    if destinations.mongodb is not None:
        collection = destinations.mongodb.open()
        mode = mongo.choose_mode(collection, destinations.mongodb.mode) if whole else "upsert"
        mongo.try_to_write(collection, mode)
        fields = destinations.mongodb.fields
        if fields is not None:
            require_fields(items, fields)
        _check_length(items, lengths, further=0 if fields is None else fields.longest)
    if destinations.milvus is not None and whole:
        alias = destinations.milvus.open()
        embeddings = check_embeddings(items, alias, path=export.embeddings)
        milvus.try_to_write(alias, dim=embeddings.dim, index=destinations.milvus.index)


def rehearse_items(spark: SparkSession, destination: MilvusDestination, *, dataset: str, dim: int) -> None:
    """Act: try to write to Milvus, and check the item ids of a dataset's version against it, before a model is trained."""
    alias = destination.open()
    milvus.try_to_write(alias, dim=dim, index=destination.index)
    path = files.join(dataset, "items")
    check_keys(io.open_table(spark, path).select("item_id"), alias, path=path)


def _check_length(items: DataFrame, lengths: tuple[int, int], *, further: int) -> None:
    """Act: raise UserError if lists of such lengths, with so many further bytes an item, may be longer than a document."""
    size = F.octet_length("item_id") + 5 if isinstance(items.schema["item_id"].dataType, StringType) else F.lit(8)
    sizes = items.agg(F.count("*").alias("items"), F.max(size).alias("longest")).first()
    assert sizes is not None
    (top_k, horizon), longest = lengths, sum(min(length, sizes["items"]) for length in lengths)
    entry = ENTRY_BYTES + len(str(longest)) + int(sizes["longest"] or 0) + further
    if OTHER_BYTES + longest * entry > MOST_DOCUMENT_BYTES:
        most = (MOST_DOCUMENT_BYTES - OTHER_BYTES) // entry
        named, keys = (f"top_k={top_k}", "top_k") if not horizon else (f"top_k={top_k} horizon={horizon}", "top_k + horizon")
        raise UserError(
            f"{named}: a list of {longest} items takes up to {longest * entry / 2**20:.0f} MiB, and a document of MongoDB "
            f"holds 16: set {keys} to at most {most}, or publish=false"
        )
