"""A version of recommendations and item embeddings into MongoDB and Milvus.

Guards come first, then the steps of `deliveries`. Every step can be run again at any point, so a publication that was killed is
simply published again: the journal in the output folder keeps its publish_id.
"""

import logging
import time
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import UserError
from seqrec.publishing import deliveries, journal
from seqrec.publishing.deliveries import Documents, Vectors, Version
from seqrec.settings.publish import Guards
from seqrec.settings.stores import Milvus, Mongo
from seqrec.storage import files, versions
from seqrec.stores import milvus as milvus_store
from seqrec.stores import mongo as mongo_store
from seqrec.stores.address import NONE
from seqrec.stores.targets import Targets

log = logging.getLogger("seqrec")


def publish(
    spark: SparkSession,
    targets: Targets,
    *,
    output: str,
    run_id: str,
    mongo: Mongo,
    milvus: Milvus,
    guards: Guards,
    users: DataFrame | None = None,
    dry_run: bool = False,
) -> None:
    """Publish OUTPUT/RUN_ID, or go on with its publication that didn't end; the log says what was published, or why nothing was.

    Users (a column user_id), or a version that was made for a subset of the users, are upserted: nothing is removed, counts
    aren't guarded, and Milvus is left as it is. With dry_run the guards are checked and nothing is written. Raises UserError,
    with the stores as they were, if a guard says no.
    """
    path = files.join(output, run_id)
    meta = versions.read_meta(path, "output")
    version = Version(path=path, meta=meta, whole=users is None and meta.get("users") is None)
    documents, vectors = None, None
    with journal.locked(output):
        if targets.mongodb is not None:
            documents = deliveries.documents_of(spark, version, targets.mongodb, mongo, guards, users)
        if targets.milvus is not None and version.whole:
            vectors = deliveries.vectors_of(spark, version, targets.milvus, milvus)
        for delivery in filter(None, (documents, vectors)):
            log.info("%s %s", "would publish" if dry_run else "publishing", delivery)
        if documents is None and vectors is None:
            left = "" if targets.milvus is None else ", and a subset of users goes to MongoDB alone"
            log.info("nothing is published: MONGODB_URI%s %s%s", " and MILVUS_URI are" if not left else " is", NONE, left)
        elif not dry_run:
            _try_to_write(documents, vectors)
            _carry_out(output, run_id, documents, vectors, milvus.keep)


def _try_to_write(documents: Documents | None, vectors: Vectors | None) -> None:
    if documents:
        mongo_store.try_to_write(documents.place, documents.mode)
    if vectors:
        milvus_store.try_to_write(vectors.place, dim=vectors.dim, index=vectors.index)


def _carry_out(output: str, run_id: str, documents: Documents | None, vectors: Vectors | None, keep: int) -> None:
    stores = [str(delivery.place) for delivery in (documents, vectors) if delivery]
    standing = [
        mongo_store.newest(documents.place) if documents else None,
        milvus_store.newest(vectors.place) if vectors else None,
    ]
    whole = documents is None or documents.whole
    publication = journal.begin(output, run_id=run_id, stores=stores, whole=whole, standing=[one for one in standing if one])
    publish_id = publication.publish_id
    if publication.resumed:
        log.info("going on with publication %s after: %s", publish_id, ", ".join(publication.done) or "nothing yet")
    finished: list[str] = []
    for step, act in deliveries.steps(documents, vectors, partial(journal.is_dead, output), keep).items():
        start = time.monotonic()
        try:
            act(publish_id)
        except UserError as error:
            raise UserError(f"{error}{_before(finished)}") from error
        journal.record(publication, step)
        finished.append(step)
        log.info("%s in %.2f s", step, time.monotonic() - start)
    journal.finish(publication, users=documents.users if documents else None)
    log.info("run %s is published as %s in %s", run_id, publish_id, " and ".join(stores))


def _before(finished: list[str]) -> str:
    """What an error adds about the stores that readers see changed already."""
    switched = [step for step in finished if step.endswith(("switched", "cleared"))]
    return f" (before that: {', '.join(switched)})" if switched else ""
