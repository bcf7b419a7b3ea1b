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
from seqrec.reranking.nearest import Entities, nearest_by_cosine
from seqrec.serving.extended_sequence import Id
from seqrec.variables import set_variable

with set_variable("MILVUS_URI", ""):  # pymilvus takes it for an address, of .env too if it is unset; here it may be a word
    from pymilvus import MilvusClient

ANSWER_S = 10.0  # of a store, after which a call fails
LEAST_HITS, MOST_HITS = 100, 10_000  # of a search: an index by inner product has others first than cosines


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
        if not isinstance(user, self.id_type):
            raise UserError(f"user {user!r}: the users' ids are of type {self.id_type.__name__}")
        document = self.documents.find_one({"_id": user}) or {"_id": user, "source": "popular", "items": self.popular}
        return {**document, "items": document["items"][:k]}


@dataclass(frozen=True, kw_only=True)
class StoredItems:
    """Embeddings of items; `bias` says that their last dimension is an output bias, which says nothing about likeness."""

    client: MilvusClient
    alias: str
    metric: str
    bias: bool = False

    @classmethod
    def open(cls, uri: str, *, token: str = "", alias: str = "item_embeddings", bias: bool = False) -> "StoredItems":
        """The items that batch_recommend publishes; UserError if there are none."""
        client = MilvusClient(uri, token=token, timeout=ANSWER_S)
        if not client.has_collection(alias):
            raise UserError(f"Milvus has no collection or alias {alias}: publish first, or name another alias")
        client.load_collection(alias)
        return cls(client=client, alias=alias, metric=client.describe_index(alias, "embedding")["metric_type"], bias=bias)

    def neighbours(self, item_id: Id, *, k: int = 10, where: str = "") -> Entities:
        """The K items most like an item: {item_id, item_idx, score}, by cosine, best first, ties by item_idx.

        `where` is a condition in Milvus' language on the collection's fields, such as item_idx < 1000. UserError if the item
        isn't there.
        """
        is_item = f"item_id == {json.dumps(item_id, ensure_ascii=False)}"
        items = self.client.query(self.alias, filter=is_item, output_fields=["embedding"], timeout=ANSWER_S)
        if not items:
            raise UserError(f"no item has the id {item_id!r} in Milvus' {self.alias}")
        query = np.asarray(items[0]["embedding"], np.float32)  # (D,)
        query[-1:] *= not self.bias
        limit = min(max(10 * k, LEAST_HITS), MOST_HITS)
        [hits] = self.client.search(
            self.alias,
            data=[query],
            filter=where,
            limit=limit,
            output_fields=["item_id", "item_idx", "embedding"],
            search_params={"metric_type": self.metric, "params": {"ef": limit}},
            timeout=ANSWER_S,
        )
        others = [hit["entity"] for hit in hits if hit["entity"]["item_id"] != item_id]
        return nearest_by_cosine(query, others, k=k, bias=self.bias)
