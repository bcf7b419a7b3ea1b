"""Tables of embeddings in Milvus: a collection a run behind an alias, or on Milvus Lite one collection.

The first column is the key, `embedding` the vector, the others are fields beside it, and run_id is added to them.

A server gets a new collection ALIAS__RUN_ID, filled, indexed, loaded and counted before the alias is put on it. Milvus Lite has
no aliases, so there the rows are upserted into a collection with the alias's name and the stale ones are deleted after.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

import grpc
import pyarrow as pa
from pyspark.sql import DataFrame

from seqrec.errors import UserError
from seqrec.stores.address import hidden
from seqrec.stores.failures import explained
from seqrec.stores.vectors import fields, local_batches, rows, send

with hidden("MILVUS_URI"):  # pymilvus takes it for a server's address at its import, and ours may be a word
    from pymilvus import DataType, MilvusClient, MilvusException
    from pymilvus.client.types import LoadState
    from pymilvus.milvus_client import IndexParams

METRIC = "IP"
TIMEOUT_S = 10.0
LONGEST_ID = 65535  # bytes of a VARCHAR
NAME = re.compile(r"^[A-Za-z_]\w{0,199}$")
PUBLISH_ID = re.compile(r"publish_id=(\S+)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """An alias of a server. Name shows the server without secrets; aliases is false for Milvus Lite."""

    uri: str = field(repr=False)
    token: str = field(repr=False)
    name: str
    alias: str
    aliases: bool

    def __str__(self) -> str:
        return f"Milvus {self.name}, alias {self.alias}" if self.alias else f"Milvus {self.name}"


def try_server(uri: str, *, token: str, name: str) -> bool:
    """Try the server, and say whether it has aliases (Milvus Lite hasn't); UserError if it can't be reached or refuses us."""
    with connected(Place(uri=uri, token=token, name=name, alias="", aliases=True), "can't be reached") as client:
        client.list_collections()
        try:
            client.get_server_version(timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise
            return False
        return True


def open_place(uri: str, *, token: str, name: str, alias: str, aliases: bool) -> Place:
    """An alias; UserError if the server can't have one of that name."""
    if not NAME.match(alias):
        raise UserError(f"{alias!r} is no name for Milvus (milvus.alias, --dest): letters, digits and _, no digit first")
    place = Place(uri=uri, token=token, name=name, alias=alias, aliases=aliases)
    with connected(place, "reading failed") as client:
        if aliases and alias in client.list_collections():
            raise UserError(f"{place}: a collection has the alias's name: drop or rename it, or take another alias")
    return place


def collection_name(place: Place, run_id: str) -> str:
    """The collection of a run, e.g. item_embeddings__20261101T020000Z_3f2a; on Milvus Lite the alias itself."""
    return f"{place.alias}__{run_id.replace('-', '_')}" if place.aliases else place.alias


def newest(place: Place) -> str | None:
    """The publish_id that the alias's collection was made for, None if there is none."""
    with connected(place, "reading failed") as client:
        used = _target(client, place) if place.aliases else None
        found = PUBLISH_ID.search(client.describe_collection(used)["description"]) if used else None
        return found[1] if found else None


def stage(
    table: DataFrame,
    place: Place,
    *,
    run_id: str,
    publish_id: str,
    items: int,
    dim: int,
    index: str,
    index_params: dict[str, int],
    writers: int,
    metric: str = METRIC,
) -> None:
    """Fill, index, load and count the run's collection; nothing happens if it is whole. UserError if a row is missing."""
    name = collection_name(place, run_id)
    with connected(place, "staging failed") as client:
        if _is_loaded(client, name) and _count(client, name) == items and index_of(client, name) == (index, metric):
            return
        if _target(client, place) == name:
            used = " by ".join(index_of(client, name))
            raise UserError(f"{place}: {name} is in use and has index {used}, not {index} by {metric}: publish another run")
        if client.has_collection(name):
            client.drop_collection(name)
        _create(client, name, table, dim=dim, description=f"seqrec run_id={run_id} publish_id={publish_id}")
        _write(table, place, name, run_id=run_id, writers=writers)
        client.flush(name)
        client.create_index(name, _index_params(client, index, metric, index_params))
        client.load_collection(name)
        _assert_count(client, place, name, items)


def switch(place: Place, *, run_id: str, publish_id: str) -> None:
    """Put the alias on the run's collection; nothing happens if it is there. UserError if a newer publication has it."""
    name, standing = collection_name(place, run_id), newest(place)
    with connected(place, "the switch failed") as client:
        used = _target(client, place)
        if used is None:
            client.create_alias(name, place.alias)
        elif used != name:
            if standing is not None and standing > publish_id:
                raise UserError(f"{place}: the newer publication {standing} stands, so {publish_id} wasn't put in its place")
            client.alter_alias(name, place.alias)


def upsert(
    table: DataFrame, place: Place, *, run_id: str, dim: int, index: str, index_params: dict[str, int], metric: str = METRIC
) -> None:
    """Put the rows into the collection itself; one of another shape (dim, fields) is made anew first."""
    with connected(place, "writing failed") as client:
        if client.has_collection(place.alias) and not _fits(client, place.alias, table, dim):
            client.drop_collection(place.alias)
        if not client.has_collection(place.alias):
            _create(client, place.alias, table, dim=dim, description="seqrec")
            client.create_index(place.alias, _index_params(client, index, metric, index_params))
        client.load_collection(place.alias)
        _write(table, place, place.alias, run_id=run_id, writers=1)


def remove_stale(place: Place, *, run_id: str, items: int) -> None:
    """Delete the rows of other runs from the collection; UserError if other than the run's items remain."""
    with connected(place, "removing stale rows failed") as client:
        client.delete(place.alias, filter=f"run_id != {json.dumps(run_id)}")
        _assert_count(client, place, place.alias, items)


def remove_collections(place: Place, *, publish_id: str, keep: int, dead: Callable[[str], bool]) -> None:
    """Drop the alias's older collections but the newest keep - 1 whole ones, and unfinished ones that are known to be dead."""
    with connected(place, "removing older collections failed") as client:
        used = _target(client, place)
        whole: list[tuple[str, str]] = []
        unfinished: list[tuple[str, str]] = []
        for name in client.list_collections():
            if name == used or not name.startswith(f"{place.alias}__"):
                continue
            found = PUBLISH_ID.search(client.describe_collection(name)["description"])
            if found is not None and found[1] < publish_id:
                (whole if _is_loaded(client, name) else unfinished).append((found[1], name))
        stale = sorted(whole, reverse=True)[keep - 1 :] + [one for one in unfinished if dead(one[0])]
        for _, name in stale:
            client.drop_collection(name)


@contextmanager
def connected(place: Place, what: str) -> Iterator[MilvusClient]:
    """A client that is closed in the end; errors name the place and keep its secrets."""
    secrets = (place.uri, place.token)
    with explained(f"{place}: {what}", MilvusException, grpc.RpcError, secrets=secrets), closing(_client(*secrets)) as client:
        yield client


def _client(uri: str, token: str) -> MilvusClient:
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints errors that are caught here
    return MilvusClient(uri, token=token, timeout=TIMEOUT_S, dedicated=True)


def _target(client: MilvusClient, place: Place) -> str | None:
    """The collection that searches reach, None if there is none yet."""
    return str(client.describe_collection(place.alias)["collection_name"]) if client.has_collection(place.alias) else None


def _create(client: MilvusClient, name: str, table: DataFrame, *, dim: int, description: str) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
    for column, kind in fields(table.schema).items():
        size = {"VARCHAR": {"max_length": LONGEST_ID}, "FLOAT_VECTOR": {"dim": dim}}.get(kind, {})
        schema.add_field(column, DataType[kind], is_primary=column == table.columns[0], **size)
    schema.add_field("run_id", DataType.VARCHAR, max_length=64)
    client.create_collection(name, schema=schema)


def _fits(client: MilvusClient, name: str, table: DataFrame, dim: int) -> bool:
    """Whether rows of this width, with these columns, can go into the collection."""
    found = {one["name"]: one for one in client.describe_collection(name)["fields"]}
    kinds = {name: one["type"].name for name, one in found.items()}
    if kinds != {**fields(table.schema), "run_id": "VARCHAR"} or not found[table.columns[0]].get("is_primary"):
        return False
    return int(found["embedding"]["params"]["dim"]) == dim


def _index_params(client: MilvusClient, index: str, metric: str, params: dict[str, int]) -> IndexParams:
    prepared = client.prepare_index_params()
    prepared.add_index("embedding", index_type=index, metric_type=metric, params=params)
    return prepared


def index_of(client: MilvusClient, name: str) -> tuple[str, str]:
    """The type and the metric of a collection's index, as Milvus names them."""
    found = client.describe_index(name, "embedding")
    return str(found["index_type"]), str(found["metric_type"])


def _is_loaded(client: MilvusClient, name: str) -> bool:
    return bool(client.has_collection(name) and client.get_load_state(name)["state"] == LoadState.Loaded)


def _count(client: MilvusClient, name: str) -> int:
    return int(client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"])


def _assert_count(client: MilvusClient, place: Place, name: str, items: int) -> None:
    found = _count(client, name)
    if found != items:
        raise UserError(f"{place}: {name} has {found} rows for {items} items: run publish again")


def _write(table: DataFrame, place: Place, name: str, *, run_id: str, writers: int) -> None:
    """Upsert all rows: from tasks, at most so many at a time, or for Milvus Lite, which is one process's, from here."""
    uri, token = place.uri, place.token

    def partition(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        with closing(_client(uri, token)) as client:
            send(rows(batches, run_id=run_id), partial(client.upsert, name))
        yield from ()

    if place.aliases:
        table.coalesce(writers).mapInArrow(partition, "written long").count()
    else:
        for _ in partition(local_batches(table)):
            continue
