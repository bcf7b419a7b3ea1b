"""A dataset of six items and an untrained model of them, as build_sequences and train leave them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from seqrec.models.encoders import ENCODERS
from seqrec.storage import files, versions
from seqrec.training import checkpoint
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.model_folder import hash_users, hash_vocabulary
from tests.metas import dataset_meta

DATASET = "20260101T000000Z-0001"
IDS = ["a", "b", "c", "d", "e", "f"]
COUNTS = [9, 2, 7, 7, 1, 0]
SEQUENCES: dict[int, list[int]] = {1: [2, 3, 4], 2: [5], 3: [], 4: [2, 3, 4, 5, 6, 7, 2, 3], 5: [4, 4]}
SHAPE: dict[str, Any] = {"max_len": 5, "dim": 8, "blocks": 2, "heads": 2, "ffn": 2, "dropout": 0.5}
SHAPES = {"transformer": SHAPE, "simplex": {"max_len": 5, "dim": 8, "dropout": 0.5}}


def lineage(*hashes: str, size: int = 6) -> dict[str, Any]:
    """A vocabulary's entry in meta.json, of the last hash."""
    steps = [{"size": size, "hash": digest} for digest in hashes]
    return {**steps[-1], "lineage": steps}


def write_dataset(folder: Path, *, vocabulary: dict[str, Any] | None = None) -> str:
    """A dataset with the table sequences, and its version as the current one; returns the folder."""
    lists = pa.list_(pa.field("element", pa.int32(), nullable=False))
    columns = {
        "user_id": pa.array(SEQUENCES, pa.int64()),
        "items": pa.array(SEQUENCES.values(), lists),
        "timestamps": pa.array([list(range(len(items))) for items in SEQUENCES.values()], pa.list_(pa.int64())),
        "seen": pa.array([sorted(set(items)) for items in SEQUENCES.values()], lists),
    }
    table = folder / DATASET / "sequences"
    table.mkdir(parents=True)
    pq.write_table(pa.table(columns), table / "part-00000.parquet")
    (table / "_SUCCESS").touch()
    known = vocabulary or lineage("v1")
    versions.write_meta(str(folder / DATASET), {**dataset_meta(DATASET, size=6, vocabulary=known), "task": "inference"})
    files.write_text(str(folder / versions.CURRENT), DATASET)
    return str(folder)


def write_training(
    folder: Path,
    *,
    vocab_size: int = 6,
    vocabulary: dict[str, Any] | None = None,
    seed: int = 1,
    architecture: str = "transformer",
    users: NDArray[np.int64] | None = None,
    **shape: Any,
) -> str:
    """A model folder with the vocabulary of six items and the checkpoints last.pt and best…; returns the folder.

    Users are the hashes of those whom the model has embeddings of, sorted.
    """
    torch.manual_seed(seed)
    arguments = {"vocab_size": vocab_size, **SHAPES[architecture], **shape}
    columns = {"item_id": pa.array(IDS), "item_idx": pa.array(range(2, 8), pa.int32()), "count": pa.array(COUNTS, pa.int64())}
    hashes = {"vocabulary_sha256": hash_vocabulary(pa.table(columns))}
    if users is not None:
        arguments["users"], hashes["users_sha256"] = len(users), hash_users(users)
    model = ENCODERS[architecture](**arguments)
    content = Checkpoint(
        architecture=architecture,
        model=model.state_dict(),
        arguments=arguments,
        step=7,
        epoch=2,
        metrics={"ndcg@10": 0.25},
        meta={
            "run_id": "20260102T000000Z-0002",
            "name": "tiny",
            "dataset": DATASET,
            "id_types": {"user": "bigint", "item": "string"},
            "vocabulary": vocabulary or lineage("v1"),
            "settings": {},
            **hashes,
        },
    )
    for name in (checkpoint.LAST, checkpoint.best_name(7, "ndcg@10", 0.25)):
        checkpoint.save(content, str(folder), name)
    pq.write_table(pa.table(columns), folder / "vocabulary.parquet")
    if users is not None:
        np.save(folder / "users.npy", users)
    return str(folder)
