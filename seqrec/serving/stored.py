"""What was published, read for a service: a user's list from MongoDB, an item's neighbours from Milvus.

    lists = StoredLists.open("mongodb://host:27017", popular=Recommender.load("/data/model").recommend([], 100))
    lists.of_user(7, k=10)["items"]     # [{"item_id": …, "score": …}, …], the best first; of an unknown user the popular ones
    items = StoredItems.open("http://host:19530")
    items.neighbours(318, k=10, where="item_idx < 1000")

Both keep their connections for all threads, and see the next publication by themselves. Neither torch nor Spark is loaded. If a
store fails, the errors are its driver's: PyMongoError and MilvusException.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymongo import MongoClient
from pymongo.collection import Collection

from seqrec.errors import UserError
from seqrec.reranking.nearest import MOST_HITS, SAMPLE, Entities, search_nearest, short_length
from seqrec.serving.extended_sequence import Id
from seqrec.variables import set_variable

with set_variable("MILVUS_URI", ""):  # pymilvus takes it for an address, of .env too if it is unset; here it may be a word
    from pymilvus import MilvusClient

ANSWER_S = 10.0  # of a store, after which a call fails


@dataclass(frozen=True, kw_only=True)
class StoredLists:
    """Documents of users, and what one gets who has none."""

    documents: Collection[dict[str, Any]]
    id_type: type
    popular: list[dict[str, Any]]

    @classmethod
    def open(
        cls, uri: str, *, popular: Sequence[tuple[Id, float]], database: str = "seqrec", collection: str = "recommendations"
    ) -> "StoredLists":
        """The collection that batch_recommend publishes to, and popular items with scores; UserError if it is empty."""
        limit_ms = round(1000 * ANSWER_S)
        client: MongoClient[dict[str, Any]] = MongoClient(uri, serverSelectionTimeoutMS=limit_ms, socketTimeoutMS=limit_ms)
        documents = client[database][collection]
        if (one := documents.find_one({}, {"_id": 1})) is None:
            raise UserError(f"MongoDB has no documents in {database}.{collection}: publish first, or name another collection")
        entries = [{"item_id": item_id, "score": score} for item_id, score in popular]
        return cls(documents=documents, id_type=str if isinstance(one["_id"], str) else int, popular=entries)

    def of_user(self, user: Id, *, k: int = 10) -> dict[str, Any]:
        """The user's document with the first K items; for a user without one, popular items, with the source `popular`.

        UserError for an id of another type than the documents have, which no user could have.
        """
        user = _checked(user, self.id_type, k=k, what="user")
        document = self.documents.find_one({"_id": user}) or {"_id": user, "source": "popular", "items": self.popular}
        return {**document, "items": document["items"][:k]}


@dataclass(frozen=True, kw_only=True)
class StoredItems:
    """Embeddings of items; `bias` says that their last dimension is an output bias, which says nothing about likeness.

    `short` is the length of the shortest vectors, None where the index is by the cosine (see `search_nearest`);
    `most_hits` bounds the time of a search.
    """

    client: MilvusClient
    alias: str
    metric: str
    id_type: type
    short: float | None
    bias: bool = False
    most_hits: int = MOST_HITS

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        token: str = "",
        alias: str = "item_embeddings",
        bias: bool = False,
        most_hits: int = MOST_HITS,
    ) -> "StoredItems":
        """The items that batch_recommend publishes; UserError if there are none."""
        client = MilvusClient(uri, token=token, timeout=ANSWER_S)
        if not client.has_collection(alias):
            raise UserError(f"Milvus has no collection or alias {alias}: publish first, or name another alias")
        client.load_collection(alias)
        [key] = [field for field in client.describe_collection(alias)["fields"] if field["name"] == "item_id"]
        metric = client.describe_index(alias, "embedding")["metric_type"]
        id_type = str if key["type"].name == "VARCHAR" else int
        some = client.query(alias, filter="", output_fields=["embedding"], limit=SAMPLE)
        short = None if metric == "COSINE" else short_length(some, bias=bias)
        return cls(client=client, alias=alias, metric=metric, id_type=id_type, short=short, bias=bias, most_hits=most_hits)

    def neighbours(self, item_id: Id, *, k: int = 10, where: str = "") -> Entities:
        """The K items most like an item: {item_id, item_idx, score}, by cosine, best first, ties by item_idx.

        `where` is a condition in Milvus' language on the collection's fields, such as item_idx < 1000. UserError if the item
        isn't there, or is of another type than the items' ids.
        """
        item_id = _checked(item_id, self.id_type, k=k, what="item")
        is_item = f"item_id == {json.dumps(item_id, ensure_ascii=False)}"
        items = self.client.query(self.alias, filter=is_item, output_fields=["embedding"], timeout=ANSWER_S)
        if not items:
            raise UserError(f"no item has the id {item_id!r} in Milvus' {self.alias}")
        query = np.asarray(items[0]["embedding"], np.float32)  # (D,)
        query[-1:] *= not self.bias

        def search(limit: int) -> Entities:
            [hits] = self.client.search(
                self.alias,
                data=[query],
                filter=where,
                limit=limit,
                output_fields=["item_id", "item_idx", "embedding"],
                search_params={"metric_type": self.metric, "params": {"ef": limit}},
                timeout=ANSWER_S,
            )
            return [hit["entity"] for hit in hits]

        nearest = search_nearest(search, query, k=k + 1, short=self.short, bias=self.bias, most=self.most_hits)
        return [entity for entity in nearest if entity["item_id"] != item_id][:k]


def _checked(asked: Id, kind: type, *, k: int, what: str) -> Id:
    """An id as Python has it, also of NumPy; UserError for one of another type than the stored ones, and for k below 1."""
    if k < 1:
        raise UserError(f"k={k}: ask for at least 1 item")
    value: Id = asked.item() if isinstance(asked, np.generic) else asked
    if isinstance(value, bool) or not isinstance(value, kind):
        raise UserError(f"{what} {asked!r}: the {what}s' ids are of type {kind.__name__}")
    return value
