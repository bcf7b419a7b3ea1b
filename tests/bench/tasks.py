"""Short tasks in Python by `map_batches` against mapInArrow, with the package's zip on the workers as spark-submit has it."""

import gc
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipimport import zipimporter

import pyarrow as pa
from pyspark.sql import SparkSession

from seqrec.submit.shipped_code import ARCHIVE, zip_package
from seqrec.tables import python_tasks
from seqrec.tables.python_tasks import map_batches
from tests.bench.timing import Comparison, compare, cpu_seconds

TASKS = 200


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """Seconds of CPU time of the JVM and the workers, which don't count what they wait for each other; a task's go to stderr."""
    zip_package(root / ARCHIVE)
    spark.sparkContext.addPyFile(str(root / ARCHIVE))
    table = spark.range(10 * TASKS).repartition(TASKS)

    def spent(*, light: bool) -> float:
        begun = cpu_seconds()
        rows = map_batches(table, scored, "id long") if light else table.mapInArrow(scored_by_new_workers, "id long")
        assert rows.count() == 10 * TASKS
        return cpu_seconds() - begun

    result = compare(
        f"{TASKS} tasks in Python by map_batches, and by mapInArrow",
        ours=lambda _: spent(light=True),
        plain=lambda _: spent(light=False),
        rounds=rounds,
        aim=2.0,
    )
    for way, taken in (("map_batches", result.ours), ("mapInArrow", result.plain)):
        sys.stderr.write(f"{way}: {1000 * min(taken) / TASKS:.0f} ms of CPU time a task\n")
    return result


def scored(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches as they are, in a worker that has loaded what batch_recommend's do."""
    import seqrec.scoring.lists  # noqa: F401

    yield from batches


def scored_by_new_workers(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same, in a worker whose next task begins as in a new one: both ways share the workers."""
    zipimporter.invalidate_caches = python_tasks._read_again  # type: ignore[method-assign]
    python_tasks.lighten_worker.cache_clear()
    gc.unfreeze()
    yield from scored(batches)
