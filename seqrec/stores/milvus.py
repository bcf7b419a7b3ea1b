"""Tables of embeddings in Milvus.

The first column is the key, `embedding` is the vector, the other columns are fields beside it, and the field run_id is added.

On a server each publication gets a collection of its own, ALIAS__PUBLISH_ID. It is filled, indexed, loaded and counted before
the alias is switched to it. Milvus Lite has no aliases: there the rows are upserted into one collection with the alias's name,
and the rows of other runs are deleted afterwards.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pyarrow as pa

from seqrec.errors import UserError
from seqrec.stores.milvus_alias import Client, MilvusAlias, connected, open_client, wait_until
from seqrec.stores.milvus_index import Index
from seqrec.stores.store_errors import EITHER, MIXED, NOT_CLEARED
from seqrec.stores.vectors import Embeddings, field_types, local_batches, send_batches, to_entities
from seqrec.tables.python_tasks import map_batches
from seqrec.variables import set_variable

with set_variable("MILVUS_URI", ""):  # pymilvus takes it for an address, of .env too if it is unset; here it may be a word
    from pymilvus import DataType
    from pymilvus.client.types import LoadState

LONGEST_ID = 65535  # bytes of a VARCHAR
PUBLISH_ID = re.compile(r"publish_id=(\S+)")
SUFFIX = r"__\d{8}T\d{6}(\d{6})?Z_[0-9a-f]{4}"  # of a publish_id, or of a run id


def collection_name(alias: MilvusAlias, publish_id: str) -> str:
    """The collection of a publication, e.g. items__20261101T020000123456Z_3f2a; on Milvus Lite the alias itself."""
    return f"{alias.name}__{publish_id.replace('-', '_')}" if alias.server.aliases else alias.name


def try_to_write(alias: MilvusAlias, *, dim: int, index: Index) -> None:
    """Make a collection, index it and drop it: UserError if the server refuses that, or has no such index."""
    with connected(alias, "a trial of what is to be written failed") as client:
        name = f"{alias.name}__trial_{secrets.token_hex(4)}"
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description="seqrec trial")
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dim)
        client.create_collection(name, schema=schema)
        try:
            index.make(client, alias, name)
        finally:
            client.drop_collection(name)


def newest_publication(alias: MilvusAlias) -> str | None:
    """The publish_id that the alias's collection was made for, None if there is none."""
    with connected(alias, "reading failed") as client:
        collection = _collection_in_use(client, alias) if alias.server.aliases else None
        match = PUBLISH_ID.search(client.describe_collection(collection)["description"]) if collection else None
        return match[1] if match else None


def largest_publication(alias: MilvusAlias) -> int:
    """The number of rows of the run that has the most rows behind the alias.

    An upsert that was killed leaves the rows of two runs side by side: their sum isn't the size of a publication.
    """
    with connected(alias, "counting failed") as client:
        if not client.has_collection(alias.name):
            return 0
        client.load_collection(alias.name)
        if "run_id" not in {field["name"] for field in client.describe_collection(alias.name)["fields"]}:
            return _count(client, alias.name)
        counts: dict[str, int] = {}
        while True:  # Milvus can't list distinct values: each round asks for a row of a run that isn't counted yet
            uncounted = f"run_id not in {json.dumps(list(counts))}" if counts else 'run_id != ""'
            rows = client.query(alias.name, filter=uncounted, output_fields=["run_id"], limit=1, consistency_level="Strong")
            if not rows:
                break
            run_id = str(rows[0]["run_id"])
            counts[run_id] = _count(client, alias.name, f"run_id == {json.dumps(run_id)}")
        return max(counts.values(), default=0)


def stage(alias: MilvusAlias, embeddings: Embeddings, *, publish_id: str, run_id: str, index: Index, writers: int) -> None:
    """Act: fill, index, load and count the publication's collection; nothing happens if it is whole.

    UserError if a row is missing in the end, or if the alias is on this publication's collection and that has other rows or
    another index.
    """
    name, rows = collection_name(alias, publish_id), embeddings.rows
    with connected(alias, "staging failed") as client:
        if _is_loaded(client, name) and _count(client, name) == rows and index.is_that_of(client, name):
            return
        if _collection_in_use(client, alias) == name:
            wanted = f"{rows} rows by {index.kind} and {index.metric}"
            raise UserError(f"{alias}: {name} is in use, and isn't {wanted}: publish as it was begun, then again")
        if client.has_collection(name):
            client.drop_collection(name)
        _create(client, name, embeddings, description=f"seqrec run_id={run_id} publish_id={publish_id}")
        _write(alias, embeddings, name, run_id=run_id, writers=writers)
        client.flush(name, timeout=alias.server.timeouts.bulk_s)
        index.make(client, alias, name)
        _load(client, alias, name)
        _assert_count(client, alias, name, rows)


def switch(alias: MilvusAlias, *, publish_id: str) -> None:
    """Switch the alias to the publication's collection, unless it is there. UserError if it is on a newer publication's."""
    name, newest = collection_name(alias, publish_id), newest_publication(alias)
    with connected(alias, "the switch failed", state=EITHER) as client:
        in_use = _collection_in_use(client, alias)
        if in_use is None:
            client.create_alias(name, alias.name)
        elif in_use != name:
            if newest is not None and newest > publish_id:
                raise UserError(f"{alias}: the newer publication {newest} stands, so {publish_id} wasn't put in its place")
            client.alter_alias(name, alias.name)


def upsert(alias: MilvusAlias, embeddings: Embeddings, *, run_id: str, index: Index) -> None:
    """Act: put the rows into the collection itself, which is made anew if it has other fields, another dim or another index."""
    with connected(alias, "writing failed", state=MIXED) as client:
        name = alias.name
        if client.has_collection(name) and not (_has_shape(client, name, embeddings) and index.is_that_of(client, name)):
            client.drop_collection(name)
        if not client.has_collection(name):
            _create(client, name, embeddings, description="seqrec")
            index.make(client, alias, name)
        _load(client, alias, name)
        _write(alias, embeddings, name, run_id=run_id, writers=1)


def remove_other_runs(alias: MilvusAlias, *, run_id: str, rows: int) -> None:
    """Delete the rows of other runs from the collection; UserError if other than the run's rows remain."""
    with connected(alias, "removing stale rows failed", state=NOT_CLEARED) as client:
        client.delete(alias.name, filter=f"run_id != {json.dumps(run_id)}", timeout=alias.server.timeouts.bulk_s)
        _assert_count(client, alias, alias.name, rows)


def remove_collections(alias: MilvusAlias, *, publish_id: str, keep: int, is_dead: Callable[[str], bool]) -> None:
    """Drop the alias's older collections: of the whole ones all but the newest keep - 1, of the unfinished the dead ones.

    A collection that another alias points to stays, and so does one with another name than ALIAS__PUBLISH_ID: the alias `items`
    leaves those of `items__de` alone.
    """
    names_of_ours = re.compile(re.escape(alias.name) + SUFFIX)
    with connected(alias, "removing older collections failed", state=NOT_CLEARED) as client:
        whole: list[tuple[str, str]] = []
        unfinished: list[tuple[str, str]] = []
        for name in filter(names_of_ours.fullmatch, client.list_collections()):
            about = client.describe_collection(name)
            match = PUBLISH_ID.search(about["description"])
            in_use = about.get("aliases") or name == _collection_in_use(client, alias)
            if match is not None and match[1] < publish_id and not in_use:
                (whole if _is_loaded(client, name) else unfinished).append((match[1], name))
        dead = [(made_for, name) for made_for, name in unfinished if is_dead(made_for)]
        for _, name in [*sorted(whole, reverse=True)[keep - 1 :], *dead]:
            client.drop_collection(name)


def _collection_in_use(client: Client, alias: MilvusAlias) -> str | None:
    """The collection that searches reach, None if there is none yet."""
    return str(client.describe_collection(alias.name)["collection_name"]) if client.has_collection(alias.name) else None


def _create(client: Client, name: str, embeddings: Embeddings, *, description: str) -> None:
    """Make an empty collection that has the table's fields and run_id."""
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
    for column, kind in field_types(embeddings.table.schema).items():
        sizes: dict[str, dict[str, int]] = {"VARCHAR": {"max_length": LONGEST_ID}, "FLOAT_VECTOR": {"dim": embeddings.dim}}
        schema.add_field(column, DataType[kind], is_primary=column == embeddings.key, **sizes.get(kind, {}))
    schema.add_field("run_id", DataType.VARCHAR, max_length=64)
    client.create_collection(name, schema=schema)


def _has_shape(client: Client, name: str, embeddings: Embeddings) -> bool:
    """Whether rows of this width, with these columns, can go into the collection."""
    fields = {field["name"]: field for field in client.describe_collection(name)["fields"]}
    types = {name: field["type"].name for name, field in fields.items()}
    if types != {**field_types(embeddings.table.schema), "run_id": "VARCHAR"} or not fields[embeddings.key].get("is_primary"):
        return False
    return int(fields["embedding"]["params"]["dim"]) == embeddings.dim


def _load(client: Client, alias: MilvusAlias, name: str) -> None:
    """Load a collection, so that it can be searched, and wait until that is done."""
    client.load_collection(name, _async=True)
    wait_until(lambda: _is_loaded(client, name), alias, f"loading {name}")


def _is_loaded(client: Client, name: str) -> bool:
    """Whether a collection exists and can be searched; loading is the last step of its staging."""
    return bool(client.has_collection(name) and client.get_load_state(name)["state"] == LoadState.Loaded)


def _count(client: Client, name: str, condition: str = "") -> int:
    """The number of a collection's rows, or of those that fulfil the condition."""
    return int(client.query(name, filter=condition, output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"])


def _assert_count(client: Client, alias: MilvusAlias, name: str, rows: int) -> None:
    """Raise UserError unless a collection has `rows` rows."""
    count = _count(client, name)
    if count != rows:
        raise UserError(f"{alias}: {name} has {count} rows for {rows} items: run publish again")


def _write(alias: MilvusAlias, embeddings: Embeddings, name: str, *, run_id: str, writers: int) -> None:
    """Upsert all rows: into a server from at most `writers` tasks at a time, into Milvus Lite from the driver alone."""
    server, table = alias.server, embeddings.table

    def write_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yields nothing; a generator, as Spark wants it."""
        with closing(open_client(server)) as client:
            send_batches(to_entities(batches, run_id=run_id), partial(client.upsert, name))
        yield from ()

    if server.aliases:
        map_batches(table.coalesce(writers), write_partition, "written long").count()
    else:
        for _ in write_partition(local_batches(table)):
            continue
