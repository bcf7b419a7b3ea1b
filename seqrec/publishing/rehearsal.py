"""Tries what the stores would refuse of a model's lists and items, before hours of scoring or training."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from seqrec.errors import UserError
from seqrec.publishing.carried_fields import require_fields
from seqrec.publishing.destinations import Destinations, MilvusDestination
from seqrec.serving.exports import Export
from seqrec.stores import milvus, mongo
from seqrec.stores.checks import check_embeddings, check_keys
from seqrec.stores.mongo_collection import MOST_DOCUMENT_BYTES
from seqrec.tables import io, schemas

ENTRY_BYTES = 33  # of an item in a BSON list: frames, names, types and the score, without the digits of its rank and its id
MODEL_SCORE_BYTES = 21  # of the model's score beside the final one
BECAUSE_BYTES = 14  # of the list of an item's reasons, beside these
OTHER_BYTES = 4096  # of a document beside its items: ids, names and times


@dataclass(frozen=True, kw_only=True)
class ListLengths:
    """The most items and next items of a user's lists, the most reasons of an item, and whether it has the model's score, too."""

    items: int
    next_items: int = 0
    reasons: int = 0
    reranked: bool = False

    def __str__(self) -> str:
        """The keys of batch_recommend that ask for them."""
        keys = {"top_k": self.items, "horizon": self.next_items, "explain": self.reasons}
        return " ".join(f"{key}={length}" for key, length in keys.items() if length)


def rehearse(spark: SparkSession, destinations: Destinations, *, export: Export, lengths: ListLengths, whole: bool) -> None:
    """Act: try to write to both stores, and check the items of an export against them.

    `whole` says whether all users are scored: only then are the items written to Milvus. Raises UserError, before anything is
    scored, for names and rights that are refused, lists that are too long for a document, and items that Milvus can't take.
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
        _check_length(items, lengths, window=export.meta.max_len, further=0 if fields is None else fields.longest)
    if destinations.milvus is not None and whole:
        alias = destinations.milvus.open()
        embeddings = check_embeddings(items, alias, path=export.embeddings)
        milvus.try_to_write(alias, dim=embeddings.dim, index=destinations.milvus.index)


def rehearse_items(spark: SparkSession, destination: MilvusDestination, *, tables: Sequence[str], dim: int) -> None:
    """Act: try to write to Milvus, and check the item ids of the tables of a model's items against it, before it is trained."""
    alias = destination.open()
    milvus.try_to_write(alias, dim=dim, index=destination.index)
    for path in tables:
        check_keys(io.open_table(spark, path).select("item_id"), alias, path=path)


def _check_length(items: DataFrame, lengths: ListLengths, *, window: int, further: int) -> None:
    """Act: raise UserError if lists of such lengths, with so many further bytes an item, may be longer than a document.

    An item has no more reasons than the model's window has items.
    """
    size = F.octet_length("item_id") + 5 if isinstance(items.schema["item_id"].dataType, StringType) else F.lit(8)
    sizes = items.agg(F.count("*").alias("items"), F.max(size).alias("longest")).first()
    assert sizes is not None
    asked = (lengths.items, lengths.next_items, min(lengths.reasons, window))
    listed, following, reasons = (min(number, sizes["items"]) for number in asked)
    entry = ENTRY_BYTES + len(str(listed + following)) + int(sizes["longest"] or 0) + further
    explained = entry + MODEL_SCORE_BYTES * lengths.reranked + (BECAUSE_BYTES + reasons * entry if reasons else 0)
    needed = listed * explained + following * entry
    if OTHER_BYTES + needed > MOST_DOCUMENT_BYTES:
        keys, most = "top_k + horizon" if following else "top_k", (MOST_DOCUMENT_BYTES - OTHER_BYTES) // explained
        remedies = [f"{keys} to at most {most}"] * (most > 0) + [f"explain to less than {reasons}"] * (reasons > 0)
        raise UserError(
            f"{lengths}: a list of {listed + following} items takes up to {needed / 2**20:.0f} MiB, and a document of MongoDB "
            f"holds 16: set {', or '.join([*remedies, 'publish=false'])}"
        )
