"""The Spark session that every job opens."""

import os
import shutil
import subprocess

from pyspark.sql import SparkSession

from seqrec.errors import UserError

JAVA = "17"
INSTALL_JAVA = "apt-get install -y openjdk-17-jre-headless"

DEFAULTS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
    "spark.ui.showConsoleProgress": "true",
    "spark.sql.windowGroupLimitThreshold": "10000",
}


def open_session(name: str, **settings: str) -> SparkSession:
    """Open the session of a job, or take the one that runs; spark-submit's settings win over these defaults.

    Raises UserError if Java is missing or older than 17.
    """
    require_java()
    active = SparkSession.getActiveSession()
    builder = SparkSession.builder.appName(name)
    given = dict(active.sparkContext.getConf().getAll()) if active else _submitted()
    for key, value in {**DEFAULTS, **settings}.items():
        if key not in given:
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel(os.environ.get("SEQREC_LOG_LEVEL", "ERROR"))
    return session


def require_java() -> None:
    """Raise UserError, with the line that installs it, if Java 17 or later isn't there."""
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not java or not os.path.exists(java):
        raise UserError(f"Java {JAVA} is missing (JAVA_HOME={home or 'unset'}): install it with `{INSTALL_JAVA}`")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    release = said.split('"')[1] if '"' in said else "0"
    if int(release.split(".")[0]) < int(JAVA):
        raise UserError(f"{java} is Java {release}; Spark needs {JAVA} or later: `{INSTALL_JAVA}`, then set JAVA_HOME")


def is_local(session: SparkSession) -> bool:
    """Whether all executors run on this machine (master local or local-cluster)."""
    return str(session.sparkContext.master).startswith("local")


def _submitted() -> dict[str, str]:
    from pyspark import SparkConf

    return dict(SparkConf().getAll())
