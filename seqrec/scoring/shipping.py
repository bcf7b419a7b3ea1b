"""A model's files on every executor: only their place travels in a closure."""

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark import SparkFiles, TaskContext
from pyspark.sql import SparkSession

from seqrec.command import session
from seqrec.errors import UserError
from seqrec.serving import exports, sealed
from seqrec.serving.model import Model, open_model
from seqrec.storage import files


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """Where an executor finds a model: a folder that it mounts, or a folder below Spark's files."""

    folder: str
    mounted: bool
    files: sealed.Hashes
    max_len: int
    item_type: str  # bigint or string

    def open(self) -> Model:
        """The model, opened once per Python worker, with as many threads as the task has cores."""
        folder = self.folder if self.mounted else str(Path(SparkFiles.getRootDirectory(), self.folder))
        context = TaskContext.get()
        return open_model(folder, self.files, self.max_len, context.cpus() if context else 1)


def ship(spark: SparkSession, folder: str, *, private: bool = False) -> Shipped:
    """Make the export in a folder (see exports.locate) available to the executors.

    Raises UserError if its files aren't those of its meta.json.

    A local folder is one that all hosts mount; `private=True` says that only the driver has it, and packs it into an archive
    unless the executors run on the driver's host: the folder must stay until the session ends. A remote folder's files are
    fetched by each executor itself; they go by their names, so a session takes one remote model.
    """
    meta = exports.read_sealed(folder)
    hashed = sealed.scoring_files(meta)
    if not files.is_local(folder):
        _add_files(spark, folder, hashed)
        place, mounted = "", False
        sealed.verify(SparkFiles.getRootDirectory(), hashed)
    else:
        place, mounted = str(files.local_path(folder).absolute()), True
        sealed.verify(place, hashed)
        if private and not session.is_local(spark):
            place, mounted = _add_archive(spark, Path(place), meta, hashed), False
    return Shipped(folder=place, mounted=mounted, files=hashed, max_len=meta["max_len"], item_type=meta["id_types"]["item"])


def _add_files(spark: SparkSession, folder: str, hashed: sealed.Hashes) -> None:
    context = spark.sparkContext
    known = {Path(path).name: path for path in context.listFiles}
    for name, _ in hashed:
        path = files.uri(files.join(folder, name))
        if known.get(name, path) != path:
            raise UserError(f"{path}: this Spark session has {known[name]} already: use another session for another model")
        if name not in known:
            context.addFile(path)


def _add_archive(spark: SparkSession, folder: Path, meta: dict[str, Any], hashed: sealed.Hashes) -> str:
    name = f"model-{meta['files'][sealed.ENCODER][:16]}"
    with tarfile.open(folder / f"{name}.tar", "w") as archive:
        for file, _ in hashed:
            archive.add(folder / file, file)
    spark.sparkContext.addArchive(f"{(folder / name).as_uri()}.tar#{name}")
    return name
