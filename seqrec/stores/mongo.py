"""Rows of a table as documents in MongoDB, by swap or by upsert; the table's column _id is the key.

Every document carries the publish_id of its publication. A swap fills a staging collection and renames it over the live one,
which readers see at once; an upsert replaces documents one by one, unless a newer publication's stands, and removes the older
ones at the end. Both can be run again from any point: tasks may be retried or speculated.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import DataFrame

from seqrec.errors import UserError
from seqrec.stores.mongo_place import STAGING, Documents, Place, connected, persistent
from seqrec.stores.mongo_rows import insert, read_and_replace, replace, write_rows
from seqrec.stores.store_errors import EITHER, MIXED, NOT_CLEARED

Mode = Literal["swap", "upsert"]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a publication did: documents of its own, and newer ones of others that were left alone."""

    documents: int
    newer: int


def choose_mode(place: Place, mode: Literal["auto", "swap", "upsert"]) -> Mode:
    """The way to write: as asked, or for auto swap where it is safe. UserError for a swap that the server can't do."""
    if mode == "upsert":
        return "upsert"
    reason = "" if place.renames else "the embedded server loses renamed collections at its next start"
    if not reason and place.mongod and _is_sharded(place):
        reason = "a sharded collection can't be renamed"
    if reason and mode == "swap":
        raise UserError(f"mode=swap: {reason} ({place}); set the mode to auto or upsert")
    return "upsert" if reason else "swap"


@persistent
def try_to_write(place: Place, mode: Mode) -> None:
    """Do what a publication needs the right to, without a change: UserError if the server refuses it.

    A swap tries a staging collection, which it drops; an upsert a change of no document.
    """
    with connected(place, f"a trial of the rights to write by {mode} failed") as live:
        if mode == "swap":
            tried = live.database[f"{place.collection}{STAGING}trial-{secrets.token_hex(4)}"]
            tried.insert_one({"_id": "trial"})
            tried.drop()
        else:
            nobody = {"_id": f"seqrec trial {secrets.token_hex(8)}"}
            live.update_one(nobody, {"$set": {"publish_id": ""}})
            live.delete_one(nobody)


@persistent
def newest(place: Place) -> str | None:
    """The publish_id of the newest document, None if there is none that was published."""
    with connected(place, "reading failed") as live:
        found = live.find_one({"publish_id": {"$gte": ""}}, {"publish_id": 1}, sort=[("publish_id", -1)])
        return None if found is None else str(found["publish_id"])


@persistent
def largest(place: Place) -> int:
    """The most documents that one publication has in the collection, those of none taken as one.

    An upsert that was killed leaves the documents of two publications side by side: their sum says nothing.
    """
    with connected(place, "counting failed") as live:
        return max((live.count_documents({"publish_id": one}) for one in (None, *live.distinct("publish_id"))), default=0)


@persistent
def stage(table: DataFrame, place: Place, *, publish_id: str, rows: int, writers: int, batch_size: int) -> None:
    """Fill, index and count the publication's staging collection; nothing happens if it is whole or switched already.

    It gets the live collection's options and indexes. UserError if it doesn't hold one document a row in the end.
    """
    with connected(place, "staging failed") as live:
        staged = live.database[_staging(place, publish_id)]
        if live.count_documents({"publish_id": publish_id}) == rows:
            return
        if staged.name not in live.database.list_collection_names():
            live.database.create_collection(staged.name, **live.options())
        if staged.count_documents({}) != rows:
            write_rows(table, place, insert, staged.name, publish_id=publish_id, writers=writers, batch_size=batch_size)
        found = staged.count_documents({})
        if found != rows:
            staged.drop()
            raise UserError(f"{place}: {found} documents were staged for {rows} rows: run it again; the old ones stand")
    with connected(place, "indexing the staged documents failed", bulk=True) as live:
        _index(live.database[_staging(place, publish_id)], live)


@persistent
def switch(place: Place, *, publish_id: str) -> None:
    """Rename the staging collection over the live one; nothing happens if that was done. UserError if a newer one stands."""
    standing = newest(place)
    if standing == publish_id:
        return
    if standing is not None and standing > publish_id:
        raise UserError(f"{place}: the newer publication {standing} stands, so {publish_id} wasn't put in its place")
    with connected(place, "the switch failed", state=EITHER) as live:
        live.database[_staging(place, publish_id)].rename(place.collection, dropTarget=True)


@persistent
def upsert(table: DataFrame, place: Place, *, publish_id: str, rows: int, writers: int, batch_size: int) -> Written:
    """Put each document in place unless a newer publication's is there; nothing happens if all are, UserError if some aren't."""
    with connected(place, "indexing failed", bulk=True) as live:
        live.create_index("publish_id")
    with connected(place, "writing failed", state=MIXED) as live:
        if live.count_documents({"publish_id": publish_id}) == rows:
            return Written(documents=rows, newer=0)
        write = replace if place.mongod else read_and_replace
        newer = write_rows(table, place, write, place.collection, publish_id=publish_id, writers=writers, batch_size=batch_size)
        written = Written(documents=live.count_documents({"publish_id": publish_id}), newer=newer)
    if written.documents + newer < rows:
        raise UserError(f"{place}: {written.documents} documents stand for {rows} rows, beside older ones: run it again")
    return written


@persistent
def remove_older(place: Place, *, publish_id: str) -> int:
    """Remove the documents that older publications left, and those of none; return their number."""
    with connected(place, "removing older documents failed", state=NOT_CLEARED, bulk=True) as live:
        return live.delete_many({"publish_id": {"$not": {"$gte": publish_id}}}).deleted_count


@persistent
def remove_stagings(place: Place, *, dead: Callable[[str], bool]) -> None:
    """Drop the staging collections of publications that are known to be dead."""
    prefix = _staging(place, "")
    with connected(place, "removing stagings failed", state=NOT_CLEARED) as live:
        for name in live.database.list_collection_names():
            if name.startswith(prefix) and dead(name.removeprefix(prefix)):
                live.database.drop_collection(name)


def _index(staged: Documents, live: Documents) -> None:
    """Give a collection the other's indexes, and the one of publications."""
    for name, index in live.index_information().items():
        if name != "_id_":
            staged.create_index(index["key"], name=name, **{k: v for k, v in index.items() if k not in ("key", "v", "ns")})
    staged.create_index("publish_id")


def _staging(place: Place, publish_id: str) -> str:
    return f"{place.collection}{STAGING}{publish_id}"


def _is_sharded(place: Place) -> bool:
    with connected(place, "can't be asked whether it is sharded") as live:
        hello = live.database.client.admin.command("hello")
        if hello.get("msg") != "isdbgrid" or place.collection not in live.database.list_collection_names():
            return False
        return bool(live.database.command("collStats", place.collection).get("sharded"))
