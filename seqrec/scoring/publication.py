"""A version of recommendations and item embeddings into MongoDB and Milvus."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from seqrec import settings


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The stores to publish to, opened and tried; None where a store is skipped."""


@contextmanager
def connect(spark: SparkSession, *, mongodb_uri: str, milvus_uri: str, milvus_token: str, folder: str = "") -> Iterator[Targets]:
    """Start the embedded servers where asked, try both stores, and stop the servers at the end.

    Folder is where the embedded stores keep their files; empty: SEQREC_ROOT/stores, see `seqrec.stores.embedded.data_folder`.
    Raises UserError for an invalid URI, an unreachable store, or `embedded` on a cluster.
    """
    yield Targets()


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
    """Publish OUTPUT/RUN_ID: guards, then both stores staged, then both switched, MongoDB first."""
