"""Neighbours of an item, from the embeddings in Milvus: those of a publication, or of a dump under any key."""

import json

import numpy as np

from seqrec.errors import UserError
from seqrec.reranking.nearest import SAMPLE, Entities, search_nearest, short_length
from seqrec.stores.milvus_alias import Client, MilvusAlias, connected
from seqrec.stores.milvus_index import metric_of


def find_neighbours(alias: MilvusAlias, item_id: int | str, *, k: int, bias: bool = False) -> Entities:
    """The k items most like an item: {item_id, item_idx, score}, by cosine, best first, ties by item_idx.

    The index may order by inner product, so more are searched and ordered anew (see `search_nearest`). With bias the last
    dimension is an item's output bias, which says nothing about likeness and is left out. UserError if the item isn't there. In a
    collection that a dump made, item_id is its key, whatever that is called, and item_idx the rank of the key among those that
    the search returned.
    """
    with connected(alias, "searching failed") as client:
        key, types = _fields(client, alias)
        fields = [key, "embedding", *(["item_idx"] if "item_idx" in types else [])]
        client.load_collection(alias.name)
        is_item = f"{key} == {json.dumps(item_id, ensure_ascii=False)}"
        matches = client.query(alias.name, filter=is_item, output_fields=fields, consistency_level="Strong")
        if not matches:
            raise UserError(f"{alias}: no item has the id {item_id!r}")
        query = np.asarray(matches[0]["embedding"], np.float32)  # (D,)
        if bias:
            query[-1] = 0.0
        metric = metric_of(client, alias.name)

        def search(limit: int) -> Entities:
            [hits] = client.search(
                alias.name,
                data=[query],
                limit=limit,
                output_fields=fields,
                search_params={"metric_type": metric, "params": {"ef": limit}},
                consistency_level="Strong",
            )
            return _with_item_names([hit["entity"] for hit in hits], key)

        some = client.query(alias.name, filter="", output_fields=["embedding"], limit=SAMPLE, consistency_level="Strong")
        short = None if metric == "COSINE" else short_length(some, bias=bias)
        nearest = search_nearest(search, query, k=k + 1, short=short, bias=bias)
    return [entity for entity in nearest if entity["item_id"] != item_id][:k]


def first_item(alias: MilvusAlias) -> int | str:
    """The id of the item with the smallest index, which is the most popular one; of a dump without indices, that of any item."""
    with connected(alias, "reading failed") as client:
        key, types = _fields(client, alias)
        client.load_collection(alias.name)
        among_first = "item_idx >= 0 and item_idx <= 2" if "item_idx" in types else ""
        rows = client.query(alias.name, filter=among_first, output_fields=[key], limit=1)
    if not rows:
        raise UserError(f"{alias}: it has no items")
    return rows[0][key]  # type: ignore[no-any-return]


def parse_item_id(alias: MilvusAlias, text: str) -> int | str:
    """An item's id as the collection has it, integer or string, from its text; UserError if it can't be one."""
    with connected(alias, "reading failed") as client:
        key, types = _fields(client, alias)
    if types[key] == "VARCHAR":
        return text
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{alias}: item ids are integers there, {text!r} is none") from None


def _fields(client: Client, alias: MilvusAlias) -> tuple[str, dict[str, str]]:
    """The name of the key, and the types of all fields by name; UserError if there is no collection of embeddings."""
    if not client.has_collection(alias.name):
        raise UserError(f"{alias}: nothing was published there yet")
    described = client.describe_collection(alias.name)["fields"]
    types = {field["name"]: str(field["type"].name) for field in described}
    keys = [field["name"] for field in described if field.get("is_primary")]
    if not keys or "embedding" not in types:
        raise UserError(f"{alias}: its fields are {', '.join(types)}, and seqrec's have a key and embedding: name another alias")
    return keys[0], types


def _with_item_names(entities: Entities, key: str) -> Entities:
    """The entities in the order of their key, which becomes item_id; one without an item_idx gets its rank."""
    ordered = sorted(entities, key=lambda entity: entity[key])
    return [{"item_idx": rank, **entity, "item_id": entity[key]} for rank, entity in enumerate(ordered)]
