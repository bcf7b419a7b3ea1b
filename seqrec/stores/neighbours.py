"""Neighbours of an item, from the embeddings in Milvus."""

import json
from typing import Any

import numpy as np

from seqrec.errors import UserError
from seqrec.stores.milvus import Place, connected, index_of
from seqrec.stores.vectors import by_cosine


def neighbours(place: Place, item_id: int | str, *, k: int, bias: bool = False) -> list[dict[str, Any]]:
    """The k items most like an item: {item_id, item_idx, score}, by cosine, best first, ties by item_idx.

    The index may order by inner product, so ten times as many are searched and ordered anew. With bias the last dimension is an
    item's output bias, which says nothing about likeness and is left out. UserError if the item isn't there.
    """
    fields = ["item_id", "item_idx", "embedding"]
    with connected(place, "searching failed") as client:
        if not client.has_collection(place.alias):
            raise UserError(f"{place}: nothing was published there yet")
        client.load_collection(place.alias)
        wanted = f"item_id == {json.dumps(item_id, ensure_ascii=False)}"
        known = client.query(place.alias, filter=wanted, output_fields=fields, consistency_level="Strong")
        if not known:
            raise UserError(f"{place}: no item has the id {item_id!r}")
        query = np.asarray(known[0]["embedding"], np.float32)  # (D,)
        if bias:
            query[-1] = 0.0
        limit = min(max(10 * k, 100), 10_000)
        found = client.search(
            place.alias,
            data=[query],
            limit=limit,
            output_fields=fields,
            search_params={"metric_type": index_of(client, place.alias)[1], "params": {"ef": limit}},
            consistency_level="Strong",
        )[0]
    others = [hit["entity"] for hit in found if hit["entity"]["item_id"] != item_id]
    return by_cosine(query, others, k=k, bias=bias)


def some_item(place: Place) -> int | str:
    """The id of the item with the smallest index: the most popular one."""
    with connected(place, "reading failed") as client:
        if not client.has_collection(place.alias):
            raise UserError(f"{place}: nothing was published there yet")
        client.load_collection(place.alias)
        found = client.query(place.alias, filter="item_idx >= 0 and item_idx <= 2", output_fields=["item_id"], limit=1)
    if not found:
        raise UserError(f"{place}: it has no items")
    return found[0]["item_id"]  # type: ignore[no-any-return]


def typed_id(place: Place, text: str) -> int | str:
    """An item's id as the collection has it, integer or string, from its text; UserError if it can't be one."""
    with connected(place, "reading failed") as client:
        if not client.has_collection(place.alias):
            raise UserError(f"{place}: nothing was published there yet")
        fields = client.describe_collection(place.alias)["fields"]
    if any(one["name"] == "item_id" and one["type"].name == "VARCHAR" for one in fields):
        return text
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{place}: item ids are integers there, {text!r} is none") from None
