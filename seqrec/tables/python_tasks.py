"""Tables through Python: mapInArrow, in workers whose tasks begin and end quickly.

    map_batches(table, double, "doubled bigint")    # double takes and gives an iterator of Arrow's record batches

Of what a short task costs, PySpark 4.0 spends most on two things, which `lighten_worker` spares:
- At its beginning importlib.invalidate_caches() (from Spark 4.2 on only where something was added, SPARK-54744). Up to Python
  3.12 each importer of a zip then reads the whole directory of its archive at once, instead of when it is next needed
  (https://github.com/python/cpython/issues/103200); and a worker has such an importer for each package of pyspark.zip and of
  this package's zip, 15 to 40 of them.
- At its end gc.collect(), which looks through all that the worker has imported.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from weakref import WeakKeyDictionary
from zipimport import zipimporter

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]
Stamp = tuple[int, int]  # the time of the last change, in ns, and the size in bytes

_read_again = zipimporter.invalidate_caches
_read: WeakKeyDictionary[zipimporter, Stamp] = WeakKeyDictionary()  # of each importer's archive, as it was read again


def map_batches(
    table: DataFrame, work: Callable[[Batches], Batches], schema: StructType | str, *, barrier: bool = False
) -> DataFrame:
    """`table.mapInArrow(work, schema, barrier)`: the rows that `work` makes of each partition, in Spark's Python workers."""
    return table.mapInArrow(partial(begin, work=work), schema, barrier)


def begin(batches: Batches, *, work: Callable[[Batches], Batches]) -> Batches:
    """The work of a task, in a worker that later tasks use too."""
    lighten_worker()
    return work(batches)


@cache
def lighten_worker() -> None:
    """Once in a process: zips are read again only where they have changed, and garbage isn't sought among what is alive now."""
    if sys.version_info < (3, 13):
        zipimporter.invalidate_caches = _read_if_changed  # type: ignore[method-assign, assignment]
    gc.freeze()


def _read_if_changed(importer: zipimporter) -> None:
    """Read the directory of an importer's archive again, unless it has the stamp of the one that was read."""
    stamp = _stamp(importer.archive)
    if stamp is None or _read.get(importer) != stamp:
        _read_again(importer)
    if stamp is None:
        _read.pop(importer, None)
    else:
        _read[importer] = stamp


def _stamp(archive: str) -> Stamp | None:
    """What tells an archive from a later one of the same path; None if there is none."""
    try:
        found = os.stat(archive)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
