"""Makes the archive of Spark's Java classes (`seqrec.command.class_archive`) for the pyspark and the Java of this machine.

`make setup` runs `python -m seqrec.command.make_class_archive` once; after an update of Java it is to be run again.
"""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from seqrec.command.class_archive import MADE_BY, NAME, QUIET, java_of
from seqrec.command.entry import command_line
from seqrec.command.installation import home
from seqrec.command.java import quoted_option
from seqrec.command.session import open_session
from seqrec.error_messages import explain

SPARK = Path(pyspark.__file__).resolve().parent
COMPILER = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # less work for a JVM that ends soon; the archive fits all
WITHOUT = "jobs start without an archive of Java's classes, more slowly"
SETTINGS = {"spark.master": "local[2]", "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2"}


def make_archive(spark: Path) -> None:
    """Run what jobs run, in a JVM that archives the classes which it has loaded when it ends."""
    new = spark / f"{NAME}.{os.getpid()}"
    os.environ["SPARK_HOME"] = str(spark)
    options = [QUIET, f"-Dlog4j2.configurationFile={home() / 'conf' / 'log4j2.properties'}", f"-XX:ArchiveClassesAtExit={new}"]
    os.environ["SPARK_SUBMIT_OPTS"] = " ".join(map(quoted_option, (*options, *COMPILER)))
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # no host's name needs to be known
    session = open_session("class_archive", **SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        _work(session, Path(folder))
    java = java_of(session._jvm)
    session.stop()
    _end_java()
    if new.exists():
        new.replace(spark / NAME)
        (spark / MADE_BY).write_text(java)
    else:
        sys.stdout.write(f"this Java wrote no archive of its classes: {WITHOUT}\n")


def main(spark: Path = SPARK) -> None:
    """Make the archive, in place of one that is there; where it can't be made, that is said, and jobs run all the same."""
    with command_line():
        if not os.access(spark, os.W_OK):
            sys.stdout.write(f"{spark} can't be written: {WITHOUT}\n")
            return
        try:
            make_archive(spark)
        except Exception as error:
            reason = explain(error)  # which asks the JVM what it raised
            _end_java()
            (spark / f"{NAME}.{os.getpid()}").unlink(missing_ok=True)
            sys.stdout.write(f"no archive of Java's classes could be made ({reason}): {WITHOUT}\n")


def _work(session: SparkSession, folder: Path) -> None:
    """Read CSV, count, rank, join, write and read Parquet, and pass batches through Python."""
    lines = "".join(f"{number % 30},{number % 17},{number % 5}.0,{number}\n" for number in range(400))
    Path(folder, "ratings.csv").write_text("user_id,item_id,rating,timestamp\n" + lines)
    rows = session.read.csv(f"{folder}/ratings.csv", header=True).dropDuplicates(["user_id", "timestamp"])
    by_time = Window.partitionBy("user_id").orderBy(F.col("timestamp").cast("bigint"))
    placed = rows.withColumn("place", F.row_number().over(by_time)).cache()
    counts = placed.groupBy("item_id").agg(F.count("*").alias("count"), F.sum(F.col("rating").cast("double")).alias("sum"))
    entry = F.struct("place", "item_id", "count")
    lists = placed.join(counts, "item_id").groupBy("user_id").agg(F.sort_array(F.collect_list(entry)).alias("items"))
    lists.write.parquet(f"{folder}/lists")
    written = session.read.parquet(f"{folder}/lists")
    _through_python(written).orderBy("user_id").collect()
    session.createDataFrame([(1, "a")], "number int, name string").join(written, F.col("name") == F.col("user_id")).count()


def _through_python(table: DataFrame) -> DataFrame:
    """The table, by way of Spark's Python workers."""
    return table.mapInArrow(lambda batches: batches, table.schema)


def _end_java() -> None:
    """End the JVM by its input's end, and wait for it: the archive is written then."""
    gateway = SparkContext._gateway
    if gateway is None:  # it didn't start
        return
    java: subprocess.Popen[bytes] = gateway.proc
    assert java.stdin is not None
    logging.disable()  # py4j logs at the end of this process that the JVM is gone
    java.stdin.close()
    java.wait()


if __name__ == "__main__":
    main()
