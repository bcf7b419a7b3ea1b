"""The Spark session that every job opens."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pyspark.sql import SparkSession

from seqrec.java import require_java

DEFAULTS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
    "spark.ui.showConsoleProgress": "true",
    "spark.sql.optimizer.windowGroupLimitThreshold": "10000",
    "spark.sql.execution.replaceHashWithSortAgg": "true",
    "spark.sql.autoBroadcastJoinThreshold": "32m",
    "spark.sql.codegen.cache.maxEntries": "1000",  # with Spark's 100 a long job compiles its classes again and again
}
PARTITIONS = "spark.sql.shuffle.partitions"
LOCAL_PARTITIONS_PER_CORE = 4  # Spark's 200 cost more than the work itself on a few cores


def open_session(name: str, **settings: str) -> SparkSession:
    """Open the session of a job, or take the one that runs; spark-submit's settings win over these defaults.

    Raises UserError if there is no Java that Spark runs on.
    """
    os.environ["JAVA_HOME"] = str(require_java())
    active = SparkSession.getActiveSession()
    builder = SparkSession.builder.appName(name)
    given = dict(active.sparkContext.getConf().getAll()) if active else _submitted()
    for key, value in {**DEFAULTS, **settings}.items():
        if key not in given:
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    if active is None:
        atexit.register(_stop, session)
    if is_local(session) and PARTITIONS not in {**given, **settings}:
        session.conf.set(PARTITIONS, LOCAL_PARTITIONS_PER_CORE * session.sparkContext.defaultParallelism)
    session.sparkContext.setLogLevel(os.environ.get("SEQREC_LOG_LEVEL", "ERROR"))
    return session


@contextmanager
def working(session: SparkSession, *, partitions: int) -> Iterator[None]:
    """Within, shuffles have that many partitions and plans stay as they are; at the end what was cached is released.

    For a job that knows its sizes: what is cached keeps its partitions, so that what is grouped by them isn't shuffled again,
    and a query is one Spark job. Rows may hold long lists, so fewer of them than Spark's 10,000 make a batch of the cache.
    """
    fixed = {
        "spark.sql.shuffle.partitions": str(partitions),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.inMemoryColumnarStorage.batchSize": "1000",
    }
    before = {key: str(session.conf.get(key)) for key in fixed}
    for key, value in fixed.items():
        session.conf.set(key, value)
    try:
        yield
    finally:
        session.catalog.clearCache()
        for key, value in before.items():
            session.conf.set(key, value)


def is_local(session: SparkSession) -> bool:
    """Whether all executors run on this machine (master local or local-cluster)."""
    return str(session.sparkContext.master).startswith("local")


def _stop(session: SparkSession) -> None:
    """At the end of the process: stop the session, unless its JVM has gone before, of which nothing need be said any more."""
    with suppress(Exception):
        session.stop()


def _submitted() -> dict[str, str]:
    """What spark-submit was told, by its options and its defaults file; it is in the JVM that started this process."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()
    return dict(SparkConf().getAll())
