"""Neighbours of an item, from the embeddings in Milvus: those of a publication, or of a dump under any key."""

import json
from typing import Any

import numpy as np

from seqrec.errors import UserError
from seqrec.stores.milvus_index import metric_of
from seqrec.stores.milvus_place import Client, Place, connected
from seqrec.stores.vectors import Rows, by_cosine


def neighbours(place: Place, item_id: int | str, *, k: int, bias: bool = False) -> list[dict[str, Any]]:
    """The k items most like an item: {item_id, item_idx, score}, by cosine, best first, ties by item_idx.

    The index may order by inner product, so ten times as many are searched and ordered anew. With bias the last dimension is an
    item's output bias, which says nothing about likeness and is left out. UserError if the item isn't there. In a collection
    that a dump made, item_id is its key, whatever that is called, and item_idx its place in the order of the keys found.
    """
    with connected(place, "searching failed") as client:
        key, others = _fields(client, place)
        fields = [key, "embedding", *(["item_idx"] if "item_idx" in others else [])]
        client.load_collection(place.alias)
        wanted = f"{key} == {json.dumps(item_id, ensure_ascii=False)}"
        matches = client.query(place.alias, filter=wanted, output_fields=fields, consistency_level="Strong")
        if not matches:
            raise UserError(f"{place}: no item has the id {item_id!r}")
        query = np.asarray(matches[0]["embedding"], np.float32)  # (D,)
        if bias:
            query[-1] = 0.0
        limit = min(max(10 * k, 100), 10_000)
        found = client.search(
            place.alias,
            data=[query],
            limit=limit,
            output_fields=fields,
            search_params={"metric_type": metric_of(client, place.alias), "params": {"ef": limit}},
            consistency_level="Strong",
        )[0]
    return by_cosine(query, _named([hit["entity"] for hit in found if hit["entity"][key] != item_id], key), k=k, bias=bias)


def some_item(place: Place) -> int | str:
    """The id of the item with the smallest index, the most popular one; of a dump without indices, any."""
    with connected(place, "reading failed") as client:
        key, others = _fields(client, place)
        client.load_collection(place.alias)
        wanted = "item_idx >= 0 and item_idx <= 2" if "item_idx" in others else ""
        found = client.query(place.alias, filter=wanted, output_fields=[key], limit=1)
    if not found:
        raise UserError(f"{place}: it has no items")
    return found[0][key]  # type: ignore[no-any-return]


def typed_id(place: Place, text: str) -> int | str:
    """An item's id as the collection has it, integer or string, from its text; UserError if it can't be one."""
    with connected(place, "reading failed") as client:
        key, others = _fields(client, place)
    if others[key] == "VARCHAR":
        return text
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{place}: item ids are integers there, {text!r} is none") from None


def _fields(client: Client, place: Place) -> tuple[str, dict[str, str]]:
    """The name of the key, and the types of all fields by name; UserError if there is no collection of embeddings."""
    if not client.has_collection(place.alias):
        raise UserError(f"{place}: nothing was published there yet")
    described = client.describe_collection(place.alias)["fields"]
    kinds = {field["name"]: str(field["type"].name) for field in described}
    keys = [field["name"] for field in described if field.get("is_primary")]
    if not keys or "embedding" not in kinds:
        raise UserError(f"{place}: its fields are {', '.join(kinds)}, and seqrec's have a key and embedding: name another alias")
    return keys[0], kinds


def _named(entities: Rows, key: str) -> Rows:
    """The entities with their key as item_id, and with an item_idx."""
    order = sorted(entities, key=lambda entity: entity[key])
    return [{"item_idx": place, **entity, "item_id": entity[key]} for place, entity in enumerate(order)]
