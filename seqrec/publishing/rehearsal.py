"""What the stores would refuse of a model's lists and items, found before hours of scoring."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from seqrec.errors import UserError
from seqrec.publishing.deliveries import index_of
from seqrec.serving.exports import Export
from seqrec.settings.stores import Milvus, Mongo
from seqrec.storage import files
from seqrec.stores import milvus as milvus_store
from seqrec.stores import mongo as mongo_store
from seqrec.stores.checks import check_keys, check_vectors
from seqrec.stores.milvus_index import Index
from seqrec.stores.milvus_place import Place
from seqrec.stores.mongo_place import MOST_DOCUMENT_BYTES
from seqrec.stores.targets import Targets
from seqrec.tables import io, schemas

ENTRY_BYTES = 33  # of an item in a BSON list: frames, names, types and the score, without its place's digits and its id
OTHER_BYTES = 4096  # of a document beside its items: ids, names and times


def rehearse(
    spark: SparkSession,
    targets: Targets,
    *,
    export: Export,
    mongo: Mongo,
    milvus: Milvus,
    top_k: int,
    whole: bool,
) -> None:
    """Act: try to write to both stores, and check the items of an export against them.

    Whole says whether all users are scored, for only then do the items go to Milvus. Raises UserError, before anything is scored,
    for names and rights that are refused, for lists that are too long for a document, and for items that Milvus can't take.
    """
    item = schemas.IDS[export.meta.id_types.item]
    items = io.read_table(spark, export.embeddings, schemas.item_embeddings(item))
    if targets.mongodb is not None:
        place = targets.mongodb.place(database=mongo.database, collection=mongo.collection)
        mongo_store.try_to_write(place, mongo_store.choose_mode(place, mongo.mode) if whole else "upsert")
        _check_length(items, top_k)
    if targets.milvus is not None and whole:
        alias = targets.milvus.place(alias=milvus.alias)
        _, dim = check_vectors(items, alias, path=export.embeddings)
        milvus_store.try_to_write(alias, dim=dim, index=index_of(milvus))


def rehearse_items(spark: SparkSession, place: Place, *, dataset: str, dim: int, index: Index) -> None:
    """Act: try to write to Milvus, and check the ids of a dataset's version against it, before a model of them is trained."""
    milvus_store.try_to_write(place, dim=dim, index=index)
    path = files.join(dataset, "items")
    check_keys(io.open_table(spark, path).select("item_id"), place, path=path)


def _check_length(items: DataFrame, top_k: int) -> None:
    """Act: raise UserError if a list of top_k items may be longer than a document."""
    size = F.octet_length("item_id") + 5 if isinstance(items.schema["item_id"].dataType, StringType) else F.lit(8)
    found = items.agg(F.count("*").alias("items"), F.max(size).alias("longest")).first()
    assert found is not None
    longest = min(top_k, found["items"])
    entry = ENTRY_BYTES + len(str(longest)) + int(found["longest"] or 0)
    if OTHER_BYTES + longest * entry > MOST_DOCUMENT_BYTES:
        most = (MOST_DOCUMENT_BYTES - OTHER_BYTES) // entry
        raise UserError(
            f"top_k={top_k}: a list of {longest} items takes up to {longest * entry / 2**20:.0f} MiB, and a document of MongoDB "
            f"holds 16: set top_k to at most {most}, or publish=false"
        )
