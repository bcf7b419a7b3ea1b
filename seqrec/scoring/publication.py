"""A version of recommendations and item embeddings into MongoDB and Milvus.

Guards come first; then both stores are staged, and only then both are switched, MongoDB first; what is stale goes last. Where a
store can't stage, the upsert is the switch. Every step can be run again at any point, so a publication that was killed is
simply published again: the journal in the output folder keeps its publish_id.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from seqrec import files, io, schemas, session, versions
from seqrec.errors import UserError
from seqrec.scoring import guards as guard
from seqrec.scoring import journal
from seqrec.settings import scoring as settings
from seqrec.stores import embedded, milvus, mongo
from seqrec.stores.address import EMBEDDED
from seqrec.stores.checks import check_vectors
from seqrec.stores.targets import Targets, open_targets

log = logging.getLogger("seqrec")

Steps = dict[str, Callable[[str], Any]]


@dataclass(frozen=True, kw_only=True)
class _Mongo:
    """The recommendations on their way into a collection."""

    table: DataFrame
    place: mongo.Place
    mode: mongo.Mode
    users: int
    whole: bool
    writers: int
    batch_size: int
    flush: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.users} users to {self.place} by {self.mode}"


@dataclass(frozen=True, kw_only=True)
class _Milvus:
    """The item embeddings on their way into a collection."""

    table: DataFrame
    place: milvus.Place
    run_id: str
    items: int
    dim: int
    given: settings.Milvus

    def __str__(self) -> str:
        return f"{self.items} items to {self.place} as {milvus.collection_name(self.place, self.run_id)}"


@contextmanager
def connect(spark: SparkSession, *, mongodb_uri: str, milvus_uri: str, milvus_token: str, folder: str = "") -> Iterator[Targets]:
    """Start the embedded servers where asked, try both stores, and stop the servers at the end.

    Folder is where the embedded stores keep their files; empty: `seqrec.stores.embedded.data_folder`, which is
    SEQREC_ROOT/stores. Raises UserError for an invalid URI, an unreachable store, or `embedded` with a cluster.
    """
    if EMBEDDED in (mongodb_uri, milvus_uri) and not session.is_local(spark):
        master = spark.sparkContext.master
        raise UserError(f"the embedded stores are for one machine, and the master is {master}: set MONGODB_URI and MILVUS_URI")
    where = files.local_path(folder) if folder else embedded.data_folder()
    with open_targets(mongodb_uri=mongodb_uri, milvus_uri=milvus_uri, milvus_token=milvus_token, folder=Path(where)) as targets:
        yield targets


def publish(
    spark: SparkSession,
    targets: Targets,
    *,
    output: str,
    run_id: str,
    mongo: settings.Mongo,
    milvus: settings.Milvus,
    guards: settings.Guards,
    users: DataFrame | None = None,
    dry_run: bool = False,
) -> None:
    """Publish OUTPUT/RUN_ID, or go on with its publication that didn't end.

    Users (a column user_id), or a version that was made for a subset of the users, are upserted: nothing is removed, counts
    aren't guarded, and Milvus is left as it is. With dry_run the guards are checked and nothing is written. Raises UserError,
    with the stores as they were, if a guard says no.
    """
    path = files.join(output, run_id)
    meta = versions.read_meta(path)
    whole = users is None and meta.get("users") is None
    with journal.locked(output):
        documents = _recommendations(spark, targets, path, meta, mongo, guards, users, whole)
        vectors = _embeddings(spark, targets, path, meta, milvus) if whole else None
        for one in filter(None, (documents, vectors)):
            log.info("%s %s", "would publish" if dry_run else "publishing", one)
        if dry_run or (documents is None and vectors is None):
            return
        _carry_out(output, run_id, documents, vectors, milvus.keep)


def _carry_out(output: str, run_id: str, documents: _Mongo | None, vectors: _Milvus | None, keep: int) -> None:
    stores = [str(one.place) for one in (documents, vectors) if one]
    standing = [mongo.newest(documents.place) if documents else None, milvus.newest(vectors.place) if vectors else None]
    whole = documents is None or documents.whole
    publication = journal.begin(output, run_id=run_id, stores=stores, whole=whole, standing=[one for one in standing if one])
    publish_id = publication.publish_id
    if publication.resumed:
        log.info("going on with publication %s after: %s", publish_id, ", ".join(publication.done) or "nothing yet")
    dead = partial(journal.is_dead, output)
    for step, act in _steps(documents, vectors, dead, keep).items():
        start = time.monotonic()
        act(publish_id)
        journal.record(publication, step)
        log.info("%s in %.2f s", step, time.monotonic() - start)
    journal.finish(publication, users=documents.users if documents else None)
    log.info("run %s is published as %s", run_id, publish_id)


def _steps(documents: _Mongo | None, vectors: _Milvus | None, dead: Callable[[str], bool], keep: int) -> Steps:
    """The steps in their order; each does nothing where its effect stands."""
    steps: Steps = {}
    if documents and documents.mode == "swap":
        steps["MongoDB staged"] = partial(_stage_documents, documents)
    if vectors and vectors.place.aliases:
        steps["Milvus staged"] = partial(_stage_vectors, vectors)
    if documents:
        steps["MongoDB switched"] = partial(_switch_documents, documents)
    if vectors:
        steps["Milvus switched"] = partial(_switch_vectors, vectors)
    if documents:
        steps["MongoDB cleared"] = partial(_clear_documents, documents, dead)
    if vectors:
        steps["Milvus cleared"] = partial(_clear_vectors, vectors, dead, keep)
    return steps


def _recommendations(
    spark: SparkSession,
    targets: Targets,
    path: str,
    meta: dict[str, Any],
    given: settings.Mongo,
    guards: settings.Guards,
    users: DataFrame | None,
    whole: bool,
) -> _Mongo | None:
    """The recommendations, checked; None where MongoDB is skipped."""
    if targets.mongodb is None:
        return None
    place = targets.mongodb.place(database=given.database, collection=given.collection)
    mode = mongo.choose_mode(place, given.mode) if whole else "upsert"
    kinds = meta["id_types"]
    where = files.join(path, "recommendations")
    table = io.read_table(spark, where, schemas.recommendations(schemas.IDS[kinds["user"]], schemas.IDS[kinds["item"]]))
    if users is not None:
        table = table.join(users, "user_id", "left_semi")
    previous = journal.previous_users(path.rsplit("/", 1)[0], str(place)) if whole else None
    found = guard.check_recommendations(
        table,
        path=where,
        previous=mongo.count(place) if previous is None else previous,
        max_user_loss=guards.max_user_loss,
        max_popular_share=guards.max_popular_share,
        partial=not whole,
    )
    return _Mongo(
        table=table.withColumnRenamed("user_id", "_id"),
        place=place,
        mode=mode,
        users=found,
        whole=whole,
        writers=given.writers,
        batch_size=given.batch_size,
        flush=targets.mongodb.flush,
    )


def _embeddings(spark: SparkSession, targets: Targets, path: str, meta: dict[str, Any], given: settings.Milvus) -> _Milvus | None:
    """The item embeddings, checked; None where Milvus is skipped."""
    if targets.milvus is None:
        return None
    place = targets.milvus.place(alias=given.alias)
    where = files.join(path, "item_embeddings")
    table = io.read_table(spark, where, schemas.item_embeddings(schemas.IDS[meta["id_types"]["item"]]))
    items, dim = check_vectors(table, place, path=where)
    return _Milvus(table=table, place=place, run_id=meta["run_id"], items=items, dim=dim, given=given)


def _stage_documents(to: _Mongo, publish_id: str) -> None:
    mongo.stage(to.table, to.place, publish_id=publish_id, rows=to.users, writers=to.writers, batch_size=to.batch_size)


def _switch_documents(to: _Mongo, publish_id: str) -> None:
    if to.mode == "swap":
        mongo.switch(to.place, publish_id=publish_id)
        return
    written = mongo.upsert(to.table, to.place, publish_id=publish_id, rows=to.users, writers=to.writers, batch_size=to.batch_size)
    to.flush()
    if written.newer:
        log.info("%d users keep the document of a newer publication", written.newer)


def _clear_documents(to: _Mongo, dead: Callable[[str], bool], publish_id: str) -> None:
    if to.mode == "upsert" and to.whole:
        mongo.remove_older(to.place, publish_id=publish_id)
    mongo.remove_stagings(to.place, dead=dead)
    to.flush()


def _stage_vectors(to: _Milvus, publish_id: str) -> None:
    given = to.given.model_dump(include={"index", "index_params", "metric", "writers"})
    milvus.stage(to.table, to.place, run_id=to.run_id, publish_id=publish_id, items=to.items, dim=to.dim, **given)


def _switch_vectors(to: _Milvus, publish_id: str) -> None:
    if to.place.aliases:
        milvus.switch(to.place, run_id=to.run_id, publish_id=publish_id)
    else:
        given = to.given.model_dump(include={"index", "index_params", "metric"})
        milvus.upsert(to.table, to.place, run_id=to.run_id, dim=to.dim, **given)


def _clear_vectors(to: _Milvus, dead: Callable[[str], bool], keep: int, publish_id: str) -> None:
    if to.place.aliases:
        milvus.remove_collections(to.place, publish_id=publish_id, keep=keep, dead=dead)
    else:
        milvus.remove_stale(to.place, run_id=to.run_id, items=to.items)
