"""Jars that are fetched once, by Spark's Ivy, and used from its cache: those of the embedded MongoDB server, and single ones."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pyspark

from seqrec.command.installation import in_checkout
from seqrec.command.java import require_java
from seqrec.errors import UserError

COORDINATES = (
    "de.bwaldvogel:mongo-java-server-h2-backend:1.47.0",
    "de.bwaldvogel:mongo-java-server-memory-backend:1.47.0",
)
JARS = (
    "com.h2database_h2-2.3.232.jar",
    "de.bwaldvogel_mongo-java-server-core-1.47.0.jar",
    "de.bwaldvogel_mongo-java-server-h2-backend-1.47.0.jar",
    "de.bwaldvogel_mongo-java-server-memory-backend-1.47.0.jar",
    "io.netty_netty-buffer-4.2.2.Final.jar",
    "io.netty_netty-codec-4.2.2.Final.jar",
    "io.netty_netty-codec-base-4.2.2.Final.jar",
    "io.netty_netty-codec-compression-4.2.2.Final.jar",
    "io.netty_netty-codec-marshalling-4.2.2.Final.jar",
    "io.netty_netty-codec-protobuf-4.2.2.Final.jar",
    "io.netty_netty-common-4.2.2.Final.jar",
    "io.netty_netty-handler-4.2.2.Final.jar",
    "io.netty_netty-resolver-4.2.2.Final.jar",
    "io.netty_netty-transport-4.2.2.Final.jar",
    "io.netty_netty-transport-native-unix-common-4.2.2.Final.jar",
    "org.slf4j_slf4j-api-2.0.17.jar",
)


def class_path(folder: Path | None = None) -> str:
    """The jars as a Java class path; UserError that says what fetches them if one is missing."""
    folder = _cache() if folder is None else folder
    missing = [jar for jar in JARS if not (folder / jar).exists()]
    if missing:
        remedy = "`make setup`" if in_checkout() else "`python -m seqrec.stores.embedded --fetch`"
        raise UserError(f"{folder} lacks {len(missing)} jars of the embedded MongoDB, e.g. {missing[0]}: run {remedy} once")
    return os.pathsep.join(str(folder / jar) for jar in JARS)


def fetch_jars() -> None:
    """Fetch the jars into Ivy's cache; nothing happens if they are there. Raises UserError if that fails."""
    if not all((_cache() / jar).exists() for jar in JARS):
        _fetch(COORDINATES)
        class_path()


def fetch_jar(coordinate: str, *, without: str) -> Path:
    """A single jar, GROUP:NAME:VERSION, from Ivy's cache, fetched if it isn't there; of its needs, `without` is left out.

    Raises UserError if that fails.
    """
    group, name, version = coordinate.split(":")
    jar = _cache() / f"{group}_{name}-{version}.jar"
    if not jar.exists():
        _fetch((coordinate,), "--exclude-packages", without)
    if not jar.exists():
        raise UserError(f"{coordinate} was fetched, but {jar} isn't there: remove {_cache().parent}, and run the job again")
    return jar


def _fetch(coordinates: Sequence[str], *options: str) -> None:
    """Fetch packages into Ivy's cache, through spark-submit's --packages.

    spark-defaults.conf may name repositories and Ivy settings as for any package. Raises UserError if that fails.
    """
    submit = [str(Path(spark_home(), "bin", "spark-submit")), "--packages", ",".join(coordinates), *options]
    settings = ["--conf", f"spark.jars.ivy={_cache().parent}", "--class", "org.apache.spark.deploy.SparkSubmit"]
    environment = {**os.environ, "SPARK_HOME": spark_home(), "JAVA_HOME": str(require_java())}
    done = subprocess.run(
        [*submit, *settings, "spark-internal", "--version"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "unresolved" in line or "Exception" in line), "no message")
        raise UserError(f"fetching {', '.join(coordinates)} failed: {reason.strip()}; is a Maven repository reachable?")


def spark_home() -> str:
    """Where Spark is: SPARK_HOME, else the pyspark package."""
    return os.environ.get("SPARK_HOME") or str(Path(pyspark.__file__).parent)


def _cache() -> Path:
    """Where Ivy keeps the jars that Spark fetches."""
    return Path("~/.ivy2.5.2").expanduser() / "jars"
