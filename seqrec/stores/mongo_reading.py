"""Recommendations read back from MongoDB."""

from typing import Any

from seqrec.stores.mongo_place import Place, connected, persistent


@persistent
def read(place: Place, ids: list[Any]) -> list[dict[str, Any]]:
    """The documents of users, in the order asked; users without one are left out."""
    with connected(place, "reading failed") as live:
        found = {document["_id"]: document for document in live.find({"_id": {"$in": ids}})}
    return [found[user] for user in ids if user in found]


@persistent
def first(place: Place, number: int, *, source: str | None = None) -> list[dict[str, Any]]:
    """The first documents in the order of their ids, of one source if given."""
    with connected(place, "reading failed") as live:
        return list(live.find({} if source is None else {"source": source}, sort=[("_id", 1)], limit=number))
