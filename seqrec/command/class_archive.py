"""The archive of Spark's Java classes: a job's JVM maps it, in place of reading and checking thousands of classes anew.

It lies in pyspark's folder, where `seqrec.command.make_class_archive` writes it. A JVM of another release, or with other jars,
ignores it without a word (https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html).
"""

from pathlib import Path
from typing import Any

NAME = "classes.jsa"
MADE_BY = "classes.jsa.java"  # a file beside it: the Java that wrote it
QUIET = "-Xlog:disable"  # Java's warnings about archives go to stdout


def java_of(jvm: Any) -> str:
    """The home and the version of a JVM, by its gateway: another one ignores the archive."""
    properties = jvm.java.lang.System.getProperty
    return f"{properties('java.home')} {properties('java.vm.version')}\n"


def archive_options(spark: Path) -> list[str]:
    """The options of a JVM that uses the archive in Spark's folder; none where there is no archive.

    >>> archive_options(Path("/nowhere"))
    []
    """
    return [QUIET, f"-XX:SharedArchiveFile={spark / NAME}"] if (spark / NAME).exists() else []
