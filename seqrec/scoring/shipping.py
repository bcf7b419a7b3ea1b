"""A model's files on every executor: a task's closure carries only their location.

A local folder that all hosts mount is opened in place. The files of a folder that only the driver has are sent as an archive. The
files of a remote export are fetched by each executor.
"""

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import SparkFiles, TaskContext
from pyspark.sql import SparkSession

from seqrec.command import session
from seqrec.errors import UserError
from seqrec.serving import sealed
from seqrec.serving.model import Model, load_model
from seqrec.serving.ranker import Ranker, load_ranker
from seqrec.serving.towers import TRAIN_AGAIN, Towers, load_towers
from seqrec.storage import files

if TYPE_CHECKING:  # as in serving.model: a Python worker of Spark loads no kinds of meta.json
    from seqrec.serving.exports import Export
    from seqrec.serving.ranker_version import RankerVersion


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """Where an executor finds a model: a folder that it mounts, or a folder below Spark's files."""

    folder: str
    mounted: bool
    hashes: sealed.Hashes
    max_len: int
    item_type: str  # bigint or string

    def open(self) -> Model:
        """The model, opened once per Python worker, with as many threads as the task has cores."""
        folder = self.folder if self.mounted else str(Path(SparkFiles.getRootDirectory(), self.folder))
        context = TaskContext.get()
        return load_model(folder, self.hashes, self.max_len, context.cpus() if context else 1)


@dataclass(frozen=True, kw_only=True)
class ShippedRanker:
    """Where an executor finds a ranker: a folder that it mounts, or None for Spark's files."""

    folder: str | None
    hashes: sealed.Hashes

    def open(self) -> Ranker:
        """The ranker, opened once per Python worker, with as many threads as the task has cores."""
        context = TaskContext.get()
        return load_ranker(self.folder or SparkFiles.getRootDirectory(), self.hashes, context.cpus() if context else 1)


@dataclass(frozen=True, kw_only=True)
class ShippedTowers:
    """Where an executor finds two towers: a folder that it mounts, or None for Spark's files."""

    folder: str | None
    hashes: sealed.Hashes

    def open(self) -> Towers:
        """The towers, opened once per Python worker, with as many threads as the task has cores."""
        context = TaskContext.get()
        return load_towers(self.folder or SparkFiles.getRootDirectory(), self.hashes, context.cpus() if context else 1)


def ship_ranker(spark: SparkSession, version: "RankerVersion") -> ShippedRanker:
    """Make a ranker available to the executors, as `ship` does with a model; UserError if its files aren't those of meta.json."""
    hashes = version.scoring_files()
    return ShippedRanker(folder=_ship_files(spark, version.path, hashes, remedy="run train_ranker again"), hashes=hashes)


def ship_towers(spark: SparkSession, path: str, hashes: sealed.Hashes) -> ShippedTowers:
    """Make an export of two towers available to the executors; UserError if its files aren't those of the hashes."""
    return ShippedTowers(folder=_ship_files(spark, path, hashes, remedy=TRAIN_AGAIN), hashes=hashes)


def _ship_files(spark: SparkSession, path: str, hashes: sealed.Hashes, *, remedy: str) -> str | None:
    """The local folder of files, which all hosts are taken to mount; None for those of a remote one, which Spark fetches."""
    folder = None
    if files.is_local(path):
        folder = str(files.local_path(path).absolute())
    else:
        _add_files(spark, path, hashes)
    sealed.verify_files(folder or SparkFiles.getRootDirectory(), hashes, remedy=remedy)
    return folder


def ship(spark: SparkSession, export: "Export", *, private: bool = False) -> Shipped:
    """Make an export available to the executors; UserError if its files aren't those of its meta.json.

    All hosts are taken to mount a local folder. `private=True` says that only the driver has it: then it is packed into an
    archive, unless the executors run on the driver's host, and must stay until the session ends. Spark tells the files of remote
    folders apart by their names alone, so a session takes a single remote model.
    """
    hashes = export.scoring_files()
    if not files.is_local(export.path):
        _add_files(spark, export.path, hashes)
        folder, mounted = "", False
        sealed.verify_files(SparkFiles.getRootDirectory(), hashes)
    else:
        folder, mounted = str(files.local_path(export.path).absolute()), True
        sealed.verify_files(folder, hashes)
        if private and not session.runs_locally(spark):
            folder, mounted = _add_archive(spark, Path(folder), hashes), False
    return Shipped(
        folder=folder, mounted=mounted, hashes=hashes, max_len=export.meta.max_len, item_type=export.meta.id_types.item
    )


def _add_files(spark: SparkSession, folder: str, hashes: sealed.Hashes) -> None:
    """Have every executor fetch the files of a remote folder; UserError if the session has another model's of the same name."""
    context = spark.sparkContext
    added = {Path(path).name: path for path in context.listFiles}
    for name, _ in hashes:
        path = files.uri(files.join(folder, name))
        if added.get(name, path) != path:
            raise UserError(f"{path}: this Spark session has {added[name]} already: use another session for another model")
        if name not in added:
            context.addFile(path)


def _add_archive(spark: SparkSession, folder: Path, hashes: sealed.Hashes) -> str:
    """Send the files of the driver's folder to every executor; the name of the folder that they are unpacked into."""
    name = f"model-{dict(hashes)[sealed.ENCODER][:16]}"
    with tarfile.open(folder / f"{name}.tar", "w") as archive:
        for file, _ in hashes:
            archive.add(folder / file, file)
    spark.sparkContext.addArchive(f"{(folder / name).as_uri()}.tar#{name}")
    return name
