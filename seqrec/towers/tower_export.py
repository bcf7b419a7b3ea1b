"""The best towers of a training as an export: two ONNX graphs, compared with torch, and the vectors of all items.

The files are made in a temporary folder and become a version in MODEL/exports, as those of a sequence model do. The vectors are
those that ONNX Runtime gives: what scores users later.
"""

import logging
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.export.export_onnx import DEFAULT_CONVERSION, LOCK, WAIT_S, Conversion
from seqrec.export.item_embeddings import write_item_embeddings
from seqrec.models.onnx_graph import GraphInput, write_module
from seqrec.models.two_towers import Tower, TowerVectors, TwoTowers
from seqrec.serving.feature_encoding import Features
from seqrec.serving.queries import open_encoder
from seqrec.serving.sealed import EMBEDDINGS, EMBEDDINGS_PART, EXPORTS, MATRIX, VOCABULARY, hash_files
from seqrec.serving.towers import (
    ITEM_ENCODING,
    ITEM_GRAPH,
    KNOWN,
    TOWER_FILES,
    TOWER_INPUT,
    TOWER_OUTPUT,
    USER_ENCODING,
    USER_GRAPH,
    ServedTower,
)
from seqrec.storage import files, versions
from seqrec.storage.lock import hold_in
from seqrec.storage.metadata import TowersMeta
from seqrec.towers.matching_inputs import TowerCatalogue, read_tower_catalogue, read_user_rows
from seqrec.towers.tower_setup import TowerSetup
from seqrec.towers.tower_validation import catalogue_matrix, vectors_of
from seqrec.training import checkpoint
from seqrec.training.checkpoint import Checkpoint

CPU = torch.device("cpu")
COMPARED_ROWS = 10_000  # of users and of items
KEYS = ("model", "architecture", "arguments", "step", "epoch", "metrics", "meta.run_id", "meta.name")

log = logging.getLogger("seqrec")


@dataclass(frozen=True)
class TowersExport:
    """An export of two towers in a folder, its meta.json, and the item_idx of the items that are never recommended."""

    path: str
    meta: TowersMeta
    withheld: list[int]

    @property
    def embeddings(self) -> str:
        """The path of the table item_embeddings."""
        return files.join(self.path, EMBEDDINGS)


@dataclass(frozen=True, kw_only=True)
class MadeTowers:
    """What an export was made from: a checkpoint and its file, how many items it has, and its comparison with torch."""

    file: str
    best: Checkpoint
    counts: dict[str, int]
    parity: dict[str, float]


def export_towers(setup: TowerSetup, *, keep: int, conversion: Conversion = DEFAULT_CONVERSION) -> TowersExport:
    """Export the best checkpoint of a training as the current export of its model's folder, of which the newest `keep` stay.

    Raises UserError, with the exports as they were, if ONNX Runtime and torch differ by more than the tolerance.
    """
    path = checkpoint.find(setup.folder, "best")
    best = checkpoint.load(path, keys=KEYS)
    towers = TwoTowers(**best.arguments)
    towers.load_state_dict(best.model)
    with tempfile.TemporaryDirectory(prefix="seqrec-export-") as temporary:
        work = Path(temporary)
        catalogue = read_tower_catalogue(setup.inputs, setup.data, new_items=setup.new_items, cache=work / "tables")
        features = setup.survey.items.encode(catalogue.rows)
        parity = _write_towers(setup, towers, features, work, conversion=conversion)
        withheld = _write_vocabulary(setup, catalogue, features, work)
        write_item_embeddings(np.load(work / MATRIX), catalogue.ids, work / EMBEDDINGS_PART)
        new_items = len(catalogue.ids) - catalogue.known
        counts = {"items": len(catalogue.ids), "new_items": new_items, "withheld": len(withheld)}
        made = MadeTowers(file=path.rsplit("/", 1)[-1], best=best, counts=counts, parity=parity)
        path, meta = _add_export(work, setup.folder, partial(_describe, setup, made), keep=keep)
        return TowersExport(path, meta, withheld)


def _write_vocabulary(setup: TowerSetup, catalogue: TowerCatalogue, features: Features, work: Path) -> list[int]:
    """Write the items, and which of them may be recommended: those of which a feature is known; the item_idx of the others.

    All of these have the same vector. How many they are is a warning.
    """
    known = setup.survey.items.tells(features)
    pq.write_table(catalogue.ids.append_column(KNOWN, pa.array(known)), work / VOCABULARY)
    withheld: list[int] = catalogue.ids["item_idx"].filter(pa.array(~known)).to_pylist()
    if withheld:
        log.warning(
            "%s of %s: features.item_columns tell nothing of them that a training row has, so they are never recommended",
            counted(len(withheld), "item"),
            f"{len(catalogue.ids):,}",
        )
    return withheld


def _write_towers(
    setup: TowerSetup, towers: TwoTowers, item_rows: Features, work: Path, *, conversion: Conversion
) -> dict[str, float]:
    """Write graphs, encodings and the item matrix of items' features (V, Fi).

    Returns the comparison with torch, by users of the table users; raises UserError above the tolerance.
    """
    survey = setup.survey
    user_rows = survey.users.encode(read_user_rows(setup.inputs, most=COMPARED_ROWS, cache=work / "tables"))
    parity: dict[str, float] = {"opset": conversion.opset}
    for name, tower, encoding, graph, described, rows in (
        ("users", towers.users, survey.users, USER_GRAPH, USER_ENCODING, user_rows),
        ("items", towers.items, survey.items, ITEM_GRAPH, ITEM_ENCODING, item_rows),
    ):
        (work / described).write_text(encoding.to_json(), "utf-8")
        write_tower_graph(tower, work / graph, features=rows.shape[1], opset=conversion.opset)
        served = ServedTower(session=open_encoder(str(work / graph), torch.get_num_threads()), encoding=encoding)
        vectors = served.embed(rows)
        if tower is towers.items:
            np.save(work / MATRIX, catalogue_matrix(vectors))
        parity[name] = len(rows[:COMPARED_ROWS])
        parity[f"{name}_difference"] = _difference(tower, rows[:COMPARED_ROWS], vectors[:COMPARED_ROWS], name, conversion)
    return parity


def _difference(tower: Tower, rows: Features, vectors: Features, name: str, conversion: Conversion) -> float:
    """The largest difference of the vectors of ONNX Runtime from torch's; UserError if it is above the tolerance."""
    largest = float(np.abs(vectors_of(tower, rows, CPU).numpy() - vectors).max(initial=0.0))
    log.info("tower of %s: ONNX Runtime and torch: max |Δ| = %.1e on %s", name, largest, counted(len(rows), "row"))
    if not largest <= conversion.parity_tolerance:
        raise UserError(
            f"the tower of {name}: ONNX Runtime and torch differ by {largest:.2e}, above {conversion.parity_tolerance:.0e}; the "
            "exports are as they were: train with a lower features.optimizer.lr"
        )
    return largest


def write_tower_graph(tower: Tower, path: Path, *, features: int, opset: int) -> None:
    """Write ONNX with one input `features` (N, F) and one output `vector` (N, D)."""
    rows = GraphInput(TOWER_INPUT, torch.zeros(2, features), {0: torch.export.Dim("rows")})
    write_module(TowerVectors(tower), path, inputs=[rows], output=TOWER_OUTPUT, opset=opset)


def _describe(setup: TowerSetup, made: MadeTowers, *, run_id: str, hashes: dict[str, str]) -> TowersMeta:
    """The meta.json of an export."""
    inputs, survey, best = setup.inputs, setup.survey, made.best
    return TowersMeta(
        run_id=best.meta["run_id"],
        name=best.meta["name"],
        dataset=inputs.meta.dataset,
        features=inputs.meta.run_id,
        id_types=inputs.meta.id_types,
        dim=setup.sizes["dim"],
        user_columns=survey.users.names,
        item_columns=survey.items.names,
        files=hashes,
        export=run_id,
        checkpoint={"file": made.file, "step": best.step, "epoch": best.epoch, "metrics": best.metrics},
        weights_sha256=best.weights_sha256,
        parity=made.parity,
        counts=made.counts,
        settings=setup.settings,
    )


def _add_export(work: Path, model: str, meta: "partial[TowersMeta]", *, keep: int) -> tuple[str, TowersMeta]:
    """Add the files as a version of the model's exports, and make it the current one; what a failure leaves is removed.

    Returns its path and its meta.json.
    """
    folder = files.join(model, EXPORTS)
    with hold_in(folder, LOCK, what=f"an export of {model}", remedy="run it again when that has ended", wait_s=WAIT_S):
        run_id = versions.new_run_id()
        path = files.join(folder, run_id)
        names = [name for name in (*TOWER_FILES, EMBEDDINGS_PART) if (work / name).exists()]
        described = meta(run_id=run_id, hashes=hash_files(work, names))
        try:
            for name in names:
                files.put(work / name, files.join(path, name))
            files.write_text(files.join(path, EMBEDDINGS, "_SUCCESS"), "")
            described.write(path)
        except BaseException:
            files.remove(path)
            raise
        versions.commit(folder, run_id, keep=keep)
    return path, described
