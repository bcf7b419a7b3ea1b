"""A model's exports: their folders, their meta.json, and the datasets that they fit.

    export = locate("/data/model")
    export.meta.name, export.vocabulary

Exports are versions, MODEL/exports/RUN_ID and MODEL/exports/CURRENT: a reader of one isn't disturbed by the next, and an older
one can be used again. A job locates its export once and passes it on, so that all it reads is of one export.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqrec.errors import UserError
from seqrec.serving import sealed
from seqrec.storage import files, versions
from seqrec.storage.meta import META
from seqrec.storage.metadata import DatasetMeta, ExportMeta, TrainedMeta

log = logging.getLogger("seqrec")


@dataclass(frozen=True)
class Export:
    """An export in a folder, and its meta.json."""

    path: str
    meta: ExportMeta

    @property
    def vocabulary(self) -> str:
        """The path of the vocabulary: item_id, item_idx and count."""
        return files.join(self.path, sealed.VOCABULARY)

    @property
    def embeddings(self) -> str:
        """The path of the table item_embeddings."""
        return files.join(self.path, sealed.EMBEDDINGS)

    def scoring_files(self) -> sealed.Hashes:
        """Names and hashes of the files that scoring opens, so without the item_embeddings and the graph backwards.

        Raises UserError if one is not listed.
        """
        if absent := sealed.NEEDED - self.meta.files.keys():
            names = ", ".join(sorted(absent))
            raise UserError(f"the export of {self.meta.name} has no {names} in its meta.json: run export_onnx again")
        others = (sealed.BACKWARDS, sealed.BACKWARDS_WEIGHTS)
        return tuple(sorted((name, digest) for name, digest in self.meta.files.items() if "/" not in name and name not in others))

    def backwards_files(self) -> sealed.Hashes:
        """Names and hashes of the graph that has the query for the item before a history; UserError if the model has none."""
        if sealed.BACKWARDS not in self.meta.files:
            raise UserError(
                f"the export of {self.meta.name} has no {sealed.BACKWARDS}: only a model that sees both sides predicts what "
                "comes before; train one with preset=bert4rec, and export it"
            )
        names = (sealed.BACKWARDS, sealed.BACKWARDS_WEIGHTS)
        return tuple((name, self.meta.files[name]) for name in names if name in self.meta.files)

    def origin(self) -> dict[str, Any]:
        """The model that metrics belong to: its name, the run ids of training and export, and the checkpoint."""
        return {
            "model": self.meta.name,
            "model_run_id": self.meta.run_id,
            "export": self.meta.export,
            "checkpoint": self.meta.checkpoint,
        }


def locate(folder: str) -> Export:
    """The current export of a model's folder; a folder that is an export itself, such as MODEL/exports/RUN_ID, is opened as one.

    Call it once, at the start of a job: then a later export changes nothing for this job. If the folder's training has started
    over since the export, a warning says so. Raises UserError if the model isn't exported.
    """
    folder = folder.rstrip("/")
    exports = files.join(folder, sealed.EXPORTS)
    if not files.exists(files.join(exports, versions.CURRENT)):
        is_version = versions.RUN_ID.match(folder.rsplit("/", 1)[-1])
        return open_export(versions.resolve(folder) if is_version else folder)
    export = open_export(versions.resolve(exports))
    training = _training_of(folder)
    if training not in (None, export.meta.run_id):
        log.warning(
            "%s is an export of the training %s, and %s holds the training %s now: run export_onnx to take that one",
            export.path,
            export.meta.run_id,
            folder,
            training,
        )
    return export


def open_export(folder: str) -> Export:
    """The export in a folder; UserError if there is none, or if its meta.json isn't that of an export."""
    path = files.join(folder, META)
    content = versions.read_meta(folder) if files.exists(path) else {}
    if "files" not in content:
        raise UserError(f"{folder} holds no exported model: run export_onnx model={sealed.model_folder(folder)} first")
    if "user_columns" in content:
        raise UserError(
            f"{folder} holds two towers over features, which read no histories: give the lists that train_two_tower wrote, as in "
            "evaluate model=null table=FOLDER, or open the towers by seqrec.serving.towers"
        )
    return Export(folder, ExportMeta.of(content, path=path, remedy=f"run the job that writes {folder} again"))


def fetch(export: Export, folder: str) -> Export:
    """A copy, in a local folder, of what scoring needs of an export, and the graph that looks backwards, if it has one."""
    backwards = export.backwards_files() if sealed.BACKWARDS in export.meta.files else ()
    for name in [META, *(name for name, _ in (*export.scoring_files(), *backwards))]:
        files.fetch(files.join(export.path, name), Path(folder))
    return Export(folder, export.meta)


def check_lineage(model: TrainedMeta, dataset: DatasetMeta) -> int:
    """How many items of the dataset the model doesn't know; UserError if neither vocabulary is an extension of the other.

    If one extends the other, their common items have the same indices.
    """
    ours, theirs = model.vocabulary, dataset.vocabulary
    if ours.hash in {ancestor.hash for ancestor in theirs.lineage}:
        return theirs.size - ours.size
    if theirs.hash in {ancestor.hash for ancestor in ours.lineage}:
        return 0
    raise UserError(
        f"the model {model.name} was trained with a vocabulary of {ours.size} items ({ours.hash[:12]}), the dataset "
        f"{dataset.run_id} has one of {theirs.size} items ({theirs.hash[:12]}), and neither extends the other: take the "
        f"dataset {model.dataset}, or one built with vocabulary= of it"
    )


def check_unlearned(model: str, trained: TrainedMeta, dataset: DatasetMeta, *, split: str = "valid") -> None:
    """Refuse a model that may have learned what a dataset holds out in a split, as far as the datasets' ages and tasks tell.

    Raises UserError, naming the model, if its dataset is newer. If its dataset is older and held out fewer of each user's last
    events, a warning says so: of users without newer events the model has learned what is held out here.
    """
    if dataset.task == "inference":
        return
    if trained.dataset > dataset.run_id:  # run ids sort by time
        raise UserError(
            f"{model} was trained on the dataset {trained.dataset}, newer than {dataset.run_id}: it may have learned what is "
            "held out there; take a model of this dataset, or the newer dataset"
        )
    held, here = trained.held_out, dataset.held_from(split)
    if trained.dataset != dataset.run_id and held is not None and here is not None and held < here:
        log.warning(
            "%s was trained on the dataset %s, which held out %d of each user's last events, and split=%s of %s needs %d: of "
            "users without newer events it has learned the held-out ones, and its metrics are too good",
            *(model, trained.dataset, held, split, dataset.run_id, here),
        )


def _training_of(folder: str) -> str | None:
    """The run id of the training in a model's folder, as its meta.json says; None if there is none, or it is an export's."""
    if not files.exists(files.join(folder, META)):
        return None
    content = versions.read_meta(folder)
    return None if "files" in content else content.get("run_id")
