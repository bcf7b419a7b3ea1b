"""Aliases for Milvus Lite, which has none: the client's alias side, kept in this process, before the real rest of it.

As a server does, it resolves an alias wherever a collection is named, and refuses to drop a collection that an alias points to.
Spark's tasks name collections alone, so they need no alias.
"""

from typing import Any

from pymilvus import MilvusClient, MilvusException

NAMING = ("has_collection", "load_collection", "release_collection", "get_load_state", "query", "search", "describe_index")


SERVERS: dict[str, dict[str, str]] = {}


class AliasClient:
    """A MilvusClient with aliases; those of a server are shared by all clients of its address."""

    def __init__(self, uri: str, **options: Any) -> None:
        self._client = MilvusClient(uri, **options)
        self._aliases = SERVERS.setdefault(uri, {})

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in NAMING:
            return call
        return lambda collection, *args, **kwargs: call(self._aliases.get(collection, collection), *args, **kwargs)

    def describe_collection(self, name: str, **kwargs: Any) -> dict[str, Any]:
        collection = self._aliases.get(name, name)
        about: dict[str, Any] = self._client.describe_collection(collection, **kwargs)
        return {**about, "aliases": [alias for alias, target in self._aliases.items() if target == collection]}

    def drop_collection(self, name: str, **kwargs: Any) -> None:
        if name in self._aliases.values():
            raise MilvusException(message=f"cannot drop the collection via alias = {name}")
        self._client.drop_collection(name, **kwargs)

    def create_alias(self, collection: str, alias: str, **kwargs: Any) -> None:
        if alias in self._aliases:
            raise MilvusException(message=f"{alias} is alias to another collection")
        self.alter_alias(collection, alias)

    def alter_alias(self, collection: str, alias: str, **kwargs: Any) -> None:
        if not self._client.has_collection(collection):
            raise MilvusException(message=f"collection not found: {collection}")
        self._aliases[alias] = collection

    def drop_alias(self, alias: str, **kwargs: Any) -> None:
        self._aliases.pop(alias, None)
