"""Publishes a version of recommendations and item embeddings in MongoDB and Milvus.

The guards come first, then the steps of `deliveries`. Every step can be run again at any point, so a publication that was killed
is simply published again: the journal in the output folder keeps its publish_id.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from seqrec.command.bars import working_on
from seqrec.command.screen import duration
from seqrec.errors import UserError
from seqrec.publishing import guards, journal
from seqrec.publishing.carried_fields import require_fields, with_fields
from seqrec.publishing.deliveries import Delivery, DocumentDelivery, VectorDelivery, steps
from seqrec.publishing.destinations import Destinations, MilvusDestination, MongoDestination
from seqrec.publishing.lists_version import ListsVersion, open_lists
from seqrec.settings.publish import Guards
from seqrec.stores import mongo
from seqrec.stores.address import NONE
from seqrec.stores.checks import check_embeddings

log = logging.getLogger("seqrec")


def publish(
    spark: SparkSession,
    destinations: Destinations,
    version: str,
    *,
    limits: Guards,
    users: DataFrame | None = None,
    dry_run: bool = False,
) -> None:
    """Publish a version (its folder), or continue its publication that didn't end; the log says what was published, or why not.

    With `users` (a column user_id), or for a version of a subset of the users, rows are upserted: nothing is removed, counts
    aren't guarded, and Milvus is left as it is. With dry_run the guards are checked and nothing is written. Raises UserError,
    with the stores as they were, if a guard refuses the version.
    """
    working_on("publishing")
    lists = open_lists(spark, version, users=users)
    documents, vectors = None, None
    with journal.locked(lists.output):
        is_dead = partial(journal.is_dead, lists.output)
        if destinations.mongodb is not None:
            documents = deliver_documents(lists, destinations.mongodb, limits=limits, is_dead=is_dead)
        if destinations.milvus is not None and lists.whole:
            vectors = deliver_vectors(lists, destinations.milvus, is_dead=is_dead)
        deliveries: list[Delivery] = [delivery for delivery in (documents, vectors) if delivery is not None]
        for delivery in deliveries:
            log.info("%s %s", "would publish" if dry_run else "publishing", delivery)
        if not deliveries:
            subset = "" if destinations.milvus is None else ", and a subset of users goes to MongoDB alone"
            log.info("nothing is published: MONGODB_URI%s %s%s", " and MILVUS_URI are" if not subset else " is", NONE, subset)
        elif not dry_run:
            for delivery in deliveries:
                delivery.try_to_write()
            _carry_out(lists, deliveries, users=documents.rows if documents else None)


def deliver_documents(
    lists: ListsVersion, destination: MongoDestination, *, limits: Guards, is_dead: Callable[[str], bool]
) -> DocumentDelivery:
    """Act: a version's recommendations, ready for MongoDB; UserError if a guard refuses them."""
    guards.check_history(lists.meta, path=lists.path, limits=limits)
    collection = destination.open()
    mode = mongo.choose_mode(collection, destination.mode) if lists.whole else "upsert"
    table, previous = lists.recommendations(), None
    if lists.whole:
        published = journal.previous_users(lists.output, str(collection))
        previous = mongo.largest_publication(collection) if published is None else published
    rows = guards.check_recommendations(
        table,
        path=lists.table("recommendations"),
        previous=previous,
        wanted=guards.full_length(
            lists.meta.top_k, available=lists.meta.available, items=lists.meta.counts.get("item_embeddings")
        ),
        limits=limits,
        partial=not lists.whole,
    )
    fields = destination.fields
    if fields is not None:
        require_fields(lists.item_embeddings(), fields)
        table = with_fields(table, fields)
    return DocumentDelivery(
        table=table.withColumnRenamed("user_id", "_id"),
        carried="" if fields is None else fields.words,
        rows=rows,
        collection=collection,
        mode=mode,
        batching=destination.batching,
        whole=lists.whole,
        is_dead=is_dead,
    )


def deliver_vectors(lists: ListsVersion, destination: MilvusDestination, *, is_dead: Callable[[str], bool]) -> VectorDelivery:
    """Act: a version's item embeddings, ready for Milvus; UserError if Milvus can't take them."""
    alias = destination.open()
    return VectorDelivery(
        embeddings=check_embeddings(lists.item_embeddings(), alias, path=lists.table("item_embeddings")),
        alias=alias,
        run_id=lists.meta.run_id,
        index=destination.index,
        keep=destination.keep,
        writers=destination.writers,
        is_dead=is_dead,
    )


def _carry_out(lists: ListsVersion, deliveries: Sequence[Delivery], *, users: int | None) -> None:
    """Take the steps under one publish_id, each noted in the journal once it is finished."""
    addresses = [delivery.address for delivery in deliveries]
    standing = [publish_id for delivery in deliveries if (publish_id := delivery.newest_publication())]
    run_id = lists.path.rpartition("/")[2]
    publication = journal.begin(lists.output, run_id=run_id, stores=addresses, whole=lists.whole, standing=standing)
    publish_id = publication.publish_id
    if publication.resumed:
        log.info("going on with publication %s after: %s", publish_id, ", ".join(publication.steps) or "nothing yet")
    finished: list[str] = []
    for name, step in steps(deliveries):
        start = time.monotonic()
        try:
            step(publish_id)
        except UserError as error:
            raise UserError(f"{error}{_after(finished)}") from error
        journal.record(publication, name)
        finished.append(name)
        log.info("%s in %s", name, duration(time.monotonic() - start))
    journal.finish(publication, users=users)
    log.info("version %s is published as %s", run_id, publish_id)


def _after(finished: list[str]) -> str:
    """The end of an error's message: the finished steps after which readers see a change already."""
    switched = [step for step in finished if step.endswith(("switched", "cleared"))]
    return f" (before that: {', '.join(switched)})" if switched else ""
