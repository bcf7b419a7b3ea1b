"""The Spark session that every job opens."""

import atexit
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from seqrec.command.bars import watch_stages
from seqrec.command.java import require_java
from seqrec.errors import UserError

log = logging.getLogger("seqrec")

REQUIRED = {  # what results depend on
    "spark.sql.session.timeZone": "UTC",  # times without a zone, as split_times has them
    "spark.sql.timestampType": "TIMESTAMP_LTZ",  # the other type drops the zone of a text
    "spark.sql.ansi.enabled": "true",  # without it, overflows and parse errors give wrong values or nulls
    "spark.sql.caseSensitive": "false",  # else a column is null in the Parquet files that write its name in other letters
    "spark.sql.files.ignoreCorruptFiles": "false",  # else the rows of a broken file are left out silently
    "spark.sql.files.ignoreMissingFiles": "false",  # and those of a missing file
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",  # else the folders user_id=007 and user_id=7 are one user
    "spark.sql.legacy.javaCharsets": "true",  # else Spark takes few encodings of text, and not that of Windows
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # pandas' datetime64[ns] as numbers; else Spark refuses the whole file
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # LEGACY shifts days before 1582
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",  # and times before 1900
}
DEFAULTS = {
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
    "spark.ui.showConsoleProgress": "false",  # `bars` shows the stages
    "spark.sql.optimizer.windowGroupLimitThreshold": "10000",
    "spark.sql.execution.replaceHashWithSortAgg": "true",
    "spark.sql.autoBroadcastJoinThreshold": "32m",
    "spark.python.sql.dataFrameDebugging.enabled": "false",  # else each operation on a column looks up its line of Python
    "spark.sql.codegen.cache.maxEntries": "1000",  # with Spark's 100 a long job compiles its classes again and again
}
SUBMITTED = {"PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS"}  # one is set where a master, and with it the workers, was chosen
PARTITIONS = "spark.sql.shuffle.partitions"
EXECUTORS_S = 90.0  # how long a job waits for a cluster's executors before it is refused for lack of them
LOCAL_PARTITIONS_PER_CORE = 4  # Spark's 200 cost more than the work itself on a few cores


def open_session(name: str, **settings: str) -> SparkSession:
    """Open the session of a job, or use the one that runs already.

    Settings that results depend on (REQUIRED) are always set, in a running session too; another value from the caller or from
    spark-submit is ignored, with a warning. Options of spark-submit win over DEFAULTS and `settings`. Raises UserError if there
    is no Java that Spark runs on.
    """
    os.environ["JAVA_HOME"] = str(require_java())
    if not SUBMITTED & os.environ.keys():  # else Spark's workers would run the python3 of PATH, which may lack all packages
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    active = SparkSession.getActiveSession()
    builder = SparkSession.builder.appName(name)
    submitted = dict(active.sparkContext.getConf().getAll()) if active else _submitted()
    _report_refused({**settings, **submitted, **(active.conf.getAll if active else {})})
    chosen = {key: value for key, value in {**DEFAULTS, **settings}.items() if key not in submitted}
    for key, value in {**chosen, **REQUIRED}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    if active is None:
        atexit.register(_stop, session, watch_stages(session))
    if runs_locally(session) and PARTITIONS not in {**submitted, **settings}:
        session.conf.set(PARTITIONS, LOCAL_PARTITIONS_PER_CORE * session.sparkContext.defaultParallelism)
    session.sparkContext.setLogLevel(os.environ.get("SEQREC_LOG_LEVEL", "ERROR"))
    return session


@contextmanager
def working(session: SparkSession, *, partitions: int) -> Iterator[None]:
    """In the `with` block, shuffles have that many partitions and Spark doesn't adapt plans; at the end the cache is cleared.

    For a job that knows its sizes: a cached table keeps its partitions, so grouping it by the same key needs no further shuffle,
    and a query is one Spark job. Rows may hold long lists, so a batch of the cache has fewer rows than Spark's 10,000.
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


def runs_locally(session: SparkSession) -> bool:
    """Whether all executors run on this machine (master local or local-cluster)."""
    return str(session.sparkContext.master).startswith("local")


def has_ended(session: SparkSession) -> bool:
    """Whether the session's Spark was stopped, or its JVM has gone: nothing can run on it any more."""
    try:
        return session.sparkContext._jsc is None or bool(session.sparkContext._jsc.sc().isStopped())
    except (Py4JError, OSError):
        return True


def require_slots(session: SparkSession, processes: int) -> None:
    """Wait until `processes` tasks can run at once; UserError if they still can't after EXECUTORS_S.

    A session opens before its executors have registered, so the slots of a healthy cluster are few at first. Those of a local
    master are all there from the start.
    """
    master, ends = str(session.sparkContext.master), time.monotonic() + EXECUTORS_S
    fixed = master == "local" or master.startswith("local[")
    while (slots := task_slots(session)) < processes:
        if fixed or time.monotonic() >= ends:
            waited = "" if fixed else f" after {EXECUTORS_S:.0f} s"
            raise UserError(
                f"processes={processes}: the cluster {master} has {slots} slots{waited}; give it more executor cores or lower "
                "processes"
            )
        time.sleep(1)


def task_slots(session: SparkSession) -> int:
    """The tasks that can run at once on the executors that have registered, by the count that Spark checks barrier stages with.

    Unlike defaultParallelism it knows spark.task.cpus and GPUs, and doesn't follow spark.default.parallelism.
    """
    context = session.sparkContext._jsc.sc()
    return int(context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile()))


def _stop(session: SparkSession, bar: Event) -> None:
    """Stop the session at the end of the process; errors are ignored, because its JVM may have ended before."""
    bar.set()
    with suppress(Exception):
        session.stop()


def _report_refused(wanted: Mapping[str, str]) -> None:
    """Warn of each setting whose wanted value differs from the one in REQUIRED, which every job sets."""
    for key, value in REQUIRED.items():
        if wanted.get(key, value).lower() != value.lower():
            log.warning("%s=%s is not taken: results depend on it, so every job sets it to %s", key, wanted[key], value)


def _submitted() -> dict[str, str]:
    """The options and the defaults file of spark-submit, read from the JVM that started this process; {} without spark-submit."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()
    return dict(SparkConf().getAll())
