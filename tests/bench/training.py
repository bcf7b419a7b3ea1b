"""A training step against a plain loop over padded batches of the same model."""

import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from torch import nn

from jobs import build_sequences
from seqrec import simulate
from seqrec.models.dropout import Dropout
from seqrec.models.transformer import Transformer
from seqrec.settings.train import Train
from seqrec.storage import versions
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.train import run_training
from tests.bench import sequences
from tests.bench.timing import Comparison, compare

USERS, ITEMS, MEAN, BATCH = 1280, 2500, 90, 128


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """An epoch of 10 steps of 128 windows, 90 items long on average and 200 at most, full softmax over 2500 items."""
    ratings, data = root / "train.parquet", root / "train"
    simulate.write_ratings(ratings, simulate.Simulation(users=USERS, items=ITEMS, events=USERS * MEAN))
    build_sequences.run(sequences.settings(ratings, data))
    version = Path(versions.resolve(str(data)))
    windows = [np.array(row) for row in pq.read_table(version / "windows", columns=["items"])["items"].to_pylist()]
    vocab_size = json.loads((version / "meta.json").read_text())["vocabulary"]["size"]
    return compare(
        f"training, {len(windows)} windows",
        ours=lambda number: trained(data, root / f"model-{number}"),
        plain=lambda number: plain_epoch(windows, vocab_size, seed=number),
        rounds=rounds,
        aim=1.5,
    )


def trained(data: Path, model: Path) -> float:
    """Seconds of the steps, reading included, of an epoch of the job with its defaults; no validation."""
    given = {
        "data": str(data),
        "model": str(model),
        "max_epochs": 1,
        "valid_users": 16,
        "tensorboard": False,
        "plots": False,
        "resume": False,
    }
    run_training(sequence_setup(Train.model_validate({**given, "batch_size": BATCH})))
    last = (model / "epochs.jsonl").read_text().splitlines()[-1]
    return float(json.loads(last)["seconds"])


def plain_epoch(windows: list[NDArray[np.int64]], vocab_size: int, *, seed: int) -> float:
    """Seconds of the same epoch: windows in memory, padded to the longest allowed, fp32, torch's own dropout and loss."""
    torch.manual_seed(seed)
    model = Transformer(vocab_size=vocab_size, max_len=sequences.MAX_LEN, dim=64, blocks=2, heads=2, ffn=4, dropout=0.2)
    with_torch_dropout(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98))
    order = np.random.default_rng(seed).permutation(len(windows))
    start = time.perf_counter()
    for first in range(0, len(order), BATCH):
        rows = [windows[index] for index in order[first : first + BATCH]]
        padded = torch.zeros((len(rows), sequences.MAX_LEN + 1), dtype=torch.int64)
        for place, row in enumerate(rows):
            padded[place, -len(row) :] = torch.from_numpy(row)
        inputs, targets = padded[:, :-1], padded[:, 1:].clone()
        targets[inputs == 0] = 0
        logits = model(inputs) @ model.item_matrix().T  # (B, L, D) @ (D, V + 2) -> (B, L, V + 2)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
    return time.perf_counter() - start


def with_torch_dropout(module: nn.Module) -> None:
    """Put torch's dropout in the place of the encoder's own."""
    for name, child in module.named_children():
        if isinstance(child, Dropout):
            setattr(module, name, nn.Dropout(child.threshold / 256))
        else:
            with_torch_dropout(child)
