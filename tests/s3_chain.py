"""Run by test_s3.py as a job, through spark-submit.sh: files by Spark's Hadoop, and the chain from ratings to recommendations.

SEQREC_ROOT is in the bucket, as s3://. The arguments are --conf FILE, then ratings=FILE and silent=ADDRESS of a server that never
answers.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from pyspark.sql import SparkSession

from jobs import batch_recommend, build_sequences, export_onnx, report, train
from seqrec.command.session import open_session
from seqrec.errors import UserError
from seqrec.storage import files, versions
from seqrec.tables import io

TINY = ["encoder.dim=16", "encoder.blocks=1", "batch_size=32", "max_epochs=1", "tensorboard=false"]
AWKWARD = ["a b", "[x]", "{a,b}", "*", "?", "a%20b", "a #b", "a: b", "ü 日本", "a\\b", "k=v", "a+&;b", "[a]: b#?%"]


def round_trip(root: str, name: str) -> None:
    """A file and a table under a folder of any name."""
    path = files.join(root, name, name)
    assert not files.exists(path)
    files.write_text(path, "old")
    files.write_text(path, "Zürich\n")
    assert files.read_text(path) == "Zürich\n"
    with tempfile.TemporaryDirectory() as folder:
        copy = files.fetch(path, Path(folder))
        assert copy.read_text() == "Zürich\n"
        files.put(copy, files.join(root, name, "copy"))
    assert files.names(files.join(root, name)) == sorted([name, "copy"])
    assert files.sizes(files.join(root, name)) == {name: 8, "copy": 8}
    assert files.read_end(path, 3) == b"ch\n"
    assert (files.read_part(path, 4, 2), files.size_of(path)) == (b"ic", 8)
    assert files.read_text(files.join(root, name, "copy")) == "Zürich\n"
    try:
        files.write_bytes(path, cast(bytes, None))  # fails between create and close
        raise AssertionError("nothing was raised")
    except UserError:
        assert files.read_text(path) == "Zürich\n"
    files.remove(files.join(root, name))
    assert not files.exists(path)


def refusal(spark: SparkSession, path: str, **settings: str) -> dict[str, Any]:
    """What is said of a place that can't be written, with other settings of s3a, and after how many seconds."""
    configuration = cast(Any, spark.sparkContext)._jsc.hadoopConfiguration()
    before = {key: configuration.get(f"fs.s3a.{key}") for key in settings}
    for key, value in settings.items():
        configuration.set(f"fs.s3a.{key}", value)
    started = time.monotonic()
    try:
        files.require_writable(path, key="output")
        message = "it can be written"
    except UserError as error:
        message = str(error)
    for key, value in before.items():
        configuration.set(f"fs.s3a.{key}", value) if value is not None else configuration.unset(f"fs.s3a.{key}")
    return {"message": message, "seconds": time.monotonic() - started}


def run_chain(root: str, ratings: str) -> None:
    """Ratings into a dataset, a model, its export and recommendations, by the real mains."""

    def run(job: ModuleType, *overrides: str) -> None:
        job.main(["--conf", str(template(job)), *overrides])

    files.put(Path(ratings), files.join(root, "ratings.csv"))
    run(build_sequences, "k_core.items=0", f"input.path={root}/ratings.csv")
    run(train, *TINY)
    run(export_onnx)
    with tempfile.TemporaryDirectory() as folder:
        rendered = Path(folder, "out.yaml")
        subprocess.run(f"envsubst < '{template(batch_recommend)}' > '{rendered}'", shell=True, check=True)
        del os.environ["SEQREC_ROOT"]  # the rendered file needs it no more
        batch_recommend.main(["--conf", str(rendered), "top_k=5"])
    os.environ["SEQREC_ROOT"] = root
    run(report)


def template(job: ModuleType) -> Path:
    """The template of a job."""
    return Path(__file__).parents[1] / "conf" / f"{job.__name__.rsplit('.', 1)[-1]}.yaml"


def main() -> None:
    """Check, and print what was found as one line of JSON."""
    arguments = dict(argument.split("=", 1) for argument in sys.argv[3:])
    root, spark = os.environ["SEQREC_ROOT"], open_session("s3_chain")
    started = time.monotonic()
    for name in AWKWARD:
        round_trip("s3a://bucket/names", name)
    files.remove("s3a://bucket/left")
    refusals = {
        "bucket": refusal(spark, "s3a://no-bucket/output"),
        "key": refusal(spark, root, **{"secret.key": "wrong", "access.key": os.environ["AWS_ACCESS_KEY_ID"]}),
        "server": refusal(spark, root, endpoint="http://127.0.0.1:9"),
        "silent": refusal(spark, root, endpoint=arguments["silent"]),
    }
    checked = time.monotonic()
    run_chain(root, arguments["ratings"])
    recommendations = io.open_table(spark, files.join(versions.resolve(files.join(root, "output")), "recommendations"))
    page = files.read_text(files.join(root, "report.html"))
    found = {
        "pictures": [name for name in files.names(files.join(root, "model")) if name.endswith(".png")],
        "sections": page.count("<section>"),
        "problems": page.count("written by evaluate"),
        "refusals": refusals,
        "users": recommendations.count(),
        "seconds": [checked - started, time.monotonic() - checked],
    }
    sys.stdout.write(f"found {json.dumps(found)}\n")


if __name__ == "__main__":
    main()
