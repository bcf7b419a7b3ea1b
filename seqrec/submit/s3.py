"""What Spark needs for s3a:// paths: packages, a committer for whole tables, and limits to its patience."""

import os
from pathlib import Path

from seqrec.errors import UserError
from seqrec.submit.arguments import Request
from seqrec.submit.machine import spark_defaults

CLOUD_COMMITTER = "org.apache.spark:spark-hadoop-cloud_2.13:4.0.1"
NOT_FOR_S3 = (  # what the committer's package brings for other clouds, and Hadoop anew
    "org.apache.hadoop:hadoop-cloud-storage",
    "org.apache.hadoop:hadoop-azure",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "com.google.cloud.bigdataoss:gcs-connector",
    "com.microsoft.azure:azure-storage",
)
COMMITTER = {
    "spark.hadoop.fs.s3a.committer.name": "magic",
    "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
    "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    "spark.hadoop.fs.s3a.directory.operations.purge.uploads": "true",
}
PATIENCE = {  # Hadoop's own add up to hours for a server that refuses each request or never answers
    "spark.hadoop.fs.s3a.attempts.maximum": "2",
    "spark.hadoop.fs.s3a.retry.limit": "4",
    "spark.hadoop.fs.s3a.retry.interval": "500ms",
    "spark.hadoop.fs.s3a.retry.throttle.limit": "5",
    "spark.hadoop.fs.s3a.retry.throttle.interval": "500ms",
    "spark.hadoop.fs.s3a.connection.establish.timeout": "15s",
    "spark.hadoop.fs.s3a.connection.timeout": "20s",
    "spark.hadoop.fs.s3a.connection.request.timeout": "20s",
}
FETCHED = "org.apache.hadoop_hadoop-aws-*"


def needs_s3(request: Request, spark: Path) -> bool:
    """Whether the template, SEQREC_ROOT or an argument has a path of S3 that needs Hadoop's package.

    s3:// means s3a://, unless this Spark has a file system of its own for it, as on EMR.
    """
    template = Path(request.template).read_text(encoding="utf-8") if request.template else ""
    words = "\n".join([template, os.environ.get("SEQREC_ROOT", ""), *request.words])
    if "s3a://" in words:
        return True
    if "s3://" not in words or any("fs.s3.impl" in word for word in request.words):
        return False
    site = Path(os.environ.get("HADOOP_CONF_DIR") or "/etc/hadoop/conf", "core-site.xml")
    hadoop = site.read_text(encoding="utf-8", errors="replace") if site.is_file() else ""
    return "fs.s3.impl" not in spark_defaults(spark) + hadoop


def add_s3(request: Request, spark: Path) -> None:
    """Add the Hadoop package of Spark's own Hadoop, and settings before the user's, which override them."""
    jars = sorted(spark.glob("jars/hadoop-client-api-*.jar"))
    if not jars:
        raise UserError(f"{spark}/jars has no hadoop-client-api jar that says which Hadoop s3a:// needs")
    version = jars[-1].name.removeprefix("hadoop-client-api-").removesuffix(".jar")
    settings = COMMITTER | PATIENCE
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        settings |= {
            "spark.hadoop.fs.s3a.endpoint": endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
            or "us-east-1",
            "spark.hadoop.fs.s3a.path.style.access": "true",
        }
    options = request.options
    options.packages[:0] = [f"org.apache.hadoop:hadoop-aws:{version}", CLOUD_COMMITTER]
    own = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    options.others[:0] = ["--exclude-packages", ",".join(NOT_FOR_S3), *own]


def is_fetched() -> bool:
    """Whether Ivy's cache has the packages, about 1 GB, from an earlier run."""
    return any(Path.home().glob(f".ivy2*/jars/{FETCHED}"))
