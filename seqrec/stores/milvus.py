"""Tables of embeddings in Milvus: a collection a publication behind an alias, or on Milvus Lite one collection.

The first column is the key, `embedding` the vector, the others are fields beside it, and run_id is added to them.

A server gets a new collection ALIAS__PUBLISH_ID, filled, indexed, loaded and counted before the alias is put on it. Milvus Lite
has no aliases, so there the rows are upserted into a collection with the alias's name and the stale ones are deleted after.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from seqrec.errors import UserError
from seqrec.stores.address import hidden
from seqrec.stores.milvus_index import Index
from seqrec.stores.milvus_place import Client, Place, connected, open_client, wait_until
from seqrec.stores.store_errors import EITHER, MIXED, NOT_CLEARED
from seqrec.stores.vectors import fields, local_batches, rows, send

with hidden("MILVUS_URI"):
    from pymilvus import DataType
    from pymilvus.client.types import LoadState

LONGEST_ID = 65535  # bytes of a VARCHAR
PUBLISH_ID = re.compile(r"publish_id=(\S+)")
SUFFIX = r"__\d{8}T\d{6}(\d{6})?Z_[0-9a-f]{4}"  # of a publish_id, or of a run id


def collection_name(place: Place, publish_id: str) -> str:
    """The collection of a publication, e.g. items__20261101T020000123456Z_3f2a; on Milvus Lite the alias itself."""
    return f"{place.alias}__{publish_id.replace('-', '_')}" if place.aliases else place.alias


def newest(place: Place) -> str | None:
    """The publish_id that the alias's collection was made for, None if there is none."""
    with connected(place, "reading failed") as client:
        used = _target(client, place) if place.aliases else None
        found = PUBLISH_ID.search(client.describe_collection(used)["description"]) if used else None
        return found[1] if found else None


def largest(place: Place) -> int:
    """The most rows that one run has among those that searches reach: an upsert that was killed leaves those of two."""
    with connected(place, "counting failed") as client:
        if not client.has_collection(place.alias):
            return 0
        client.load_collection(place.alias)
        if "run_id" not in {one["name"] for one in client.describe_collection(place.alias)["fields"]}:
            return _count(client, place.alias)
        runs: dict[str, int] = {}
        while True:
            others = f"run_id not in {json.dumps(list(runs))}" if runs else 'run_id != ""'
            found = client.query(place.alias, filter=others, output_fields=["run_id"], limit=1, consistency_level="Strong")
            if not found:
                break
            run_id = str(found[0]["run_id"])
            runs[run_id] = _count(client, place.alias, f"run_id == {json.dumps(run_id)}")
        return max(runs.values(), default=0)


def try_to_write(place: Place, *, dim: int, index: Index) -> None:
    """Make a collection, index it and drop it: UserError if the server doesn't let us, or hasn't such an index."""
    with connected(place, "a trial of what is to be written failed") as client:
        name = f"{place.alias}__trial_{secrets.token_hex(4)}"
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description="seqrec trial")
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dim)
        client.create_collection(name, schema=schema)
        try:
            index.make(client, place, name)
        finally:
            client.drop_collection(name)


def stage(
    table: DataFrame,
    place: Place,
    *,
    run_id: str,
    publish_id: str,
    items: int,
    dim: int,
    index: Index,
    writers: int,
) -> None:
    """Fill, index, load and count the publication's collection; nothing happens if it is whole. UserError if a row is missing."""
    name = collection_name(place, publish_id)
    with connected(place, "staging failed") as client:
        if _is_loaded(client, name) and _count(client, name) == items and index.is_that_of(client, name):
            return
        if _target(client, place) == name:
            wanted = f"{items} rows by {index.kind} and {index.metric}"
            raise UserError(f"{place}: {name} is in use, and isn't {wanted}: publish as it was begun, then again")
        if client.has_collection(name):
            client.drop_collection(name)
        _create(client, name, table, dim=dim, description=f"seqrec run_id={run_id} publish_id={publish_id}")
        _write(table, place, name, run_id=run_id, writers=writers)
        client.flush(name, timeout=place.limits.bulk_s)
        index.make(client, place, name)
        _load(client, place, name)
        _assert_count(client, place, name, items)


def switch(place: Place, *, publish_id: str) -> None:
    """Put the alias on the publication's collection; nothing happens if it is there. UserError if a newer publication has it."""
    name, standing = collection_name(place, publish_id), newest(place)
    with connected(place, "the switch failed", state=EITHER) as client:
        used = _target(client, place)
        if used is None:
            client.create_alias(name, place.alias)
        elif used != name:
            if standing is not None and standing > publish_id:
                raise UserError(f"{place}: the newer publication {standing} stands, so {publish_id} wasn't put in its place")
            client.alter_alias(name, place.alias)


def upsert(table: DataFrame, place: Place, *, run_id: str, dim: int, index: Index) -> None:
    """Put the rows into the collection itself; one of another shape (dim, fields) or index is made anew first."""
    with connected(place, "writing failed", state=MIXED) as client:
        name = place.alias
        if client.has_collection(name) and not (_fits(client, name, table, dim) and index.is_that_of(client, name)):
            client.drop_collection(name)
        if not client.has_collection(name):
            _create(client, name, table, dim=dim, description="seqrec")
            index.make(client, place, name)
        _load(client, place, name)
        _write(table, place, name, run_id=run_id, writers=1)


def remove_stale(place: Place, *, run_id: str, items: int) -> None:
    """Delete the rows of other runs from the collection; UserError if other than the run's items remain."""
    with connected(place, "removing stale rows failed", state=NOT_CLEARED) as client:
        client.delete(place.alias, filter=f"run_id != {json.dumps(run_id)}", timeout=place.limits.bulk_s)
        _assert_count(client, place, place.alias, items)


def remove_collections(place: Place, *, publish_id: str, keep: int, dead: Callable[[str], bool]) -> None:
    """Drop the alias's older collections but the newest keep - 1 whole ones, and unfinished ones that are known to be dead.

    What another alias points to stays, and so does what isn't named ALIAS__PUBLISH_ID: `items` doesn't own `items__de`'s.
    """
    ours = re.compile(re.escape(place.alias) + SUFFIX)
    with connected(place, "removing older collections failed", state=NOT_CLEARED) as client:
        whole: list[tuple[str, str]] = []
        unfinished: list[tuple[str, str]] = []
        for name in filter(ours.fullmatch, client.list_collections()):
            about = client.describe_collection(name)
            found = PUBLISH_ID.search(about["description"])
            in_use = about.get("aliases") or name == _target(client, place)
            if found is not None and found[1] < publish_id and not in_use:
                (whole if _is_loaded(client, name) else unfinished).append((found[1], name))
        stale = sorted(whole, reverse=True)[keep - 1 :] + [one for one in unfinished if dead(one[0])]
        for _, name in stale:
            client.drop_collection(name)


def _target(client: Client, place: Place) -> str | None:
    """The collection that searches reach, None if there is none yet."""
    return str(client.describe_collection(place.alias)["collection_name"]) if client.has_collection(place.alias) else None


def _create(client: Client, name: str, table: DataFrame, *, dim: int, description: str) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
    for column, kind in fields(table.schema).items():
        size: dict[str, Any] = {"VARCHAR": {"max_length": LONGEST_ID}, "FLOAT_VECTOR": {"dim": dim}}.get(kind, {})
        schema.add_field(column, DataType[kind], is_primary=column == table.columns[0], **size)
    schema.add_field("run_id", DataType.VARCHAR, max_length=64)
    client.create_collection(name, schema=schema)


def _fits(client: Client, name: str, table: DataFrame, dim: int) -> bool:
    """Whether rows of this width, with these columns, can go into the collection."""
    found = {one["name"]: one for one in client.describe_collection(name)["fields"]}
    kinds = {name: one["type"].name for name, one in found.items()}
    if kinds != {**fields(table.schema), "run_id": "VARCHAR"} or not found[table.columns[0]].get("is_primary"):
        return False
    return int(found["embedding"]["params"]["dim"]) == dim


def _load(client: Client, place: Place, name: str) -> None:
    client.load_collection(name, _async=True)
    wait_until(lambda: _is_loaded(client, name), place, f"loading {name}")


def _is_loaded(client: Client, name: str) -> bool:
    return bool(client.has_collection(name) and client.get_load_state(name)["state"] == LoadState.Loaded)


def _count(client: Client, name: str, condition: str = "") -> int:
    return int(client.query(name, filter=condition, output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"])


def _assert_count(client: Client, place: Place, name: str, items: int) -> None:
    found = _count(client, name)
    if found != items:
        raise UserError(f"{place}: {name} has {found} rows for {items} items: run publish again")


def _write(table: DataFrame, place: Place, name: str, *, run_id: str, writers: int) -> None:
    """Upsert all rows: from tasks, at most so many at a time, or for Milvus Lite, which is one process's, from here."""
    uri, token, limits = place.uri, place.token, place.limits

    def partition(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        with closing(open_client(uri, token, limits, return_s=limits.return_s)) as client:
            send(rows(batches, run_id=run_id), partial(client.upsert, name))
        yield from ()

    if place.aliases:
        table.coalesce(writers).mapInArrow(partition, "written long").count()
    else:
        for _ in partition(local_batches(table)):
            continue
