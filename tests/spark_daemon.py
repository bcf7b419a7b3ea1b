"""PySpark's daemon, whose Python workers are light from their first task on, also where a task is none of this package."""

from pyspark.daemon import manager

from seqrec.tables.python_tasks import lighten_worker

if __name__ == "__main__":
    lighten_worker()
    manager()  # type: ignore[no-untyped-call]
