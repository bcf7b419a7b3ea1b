"""Positives and negatives of matching_samples through Petastorm: each step has its share of both.

Positives are a user's features and an item's; of negatives the item alone counts, as the softmax of a batch takes its items for
every user. They are encoded into files of their own, so a batch is never short of either. Both begin with the item's number.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch

from seqrec.rankers.encoded_rows import GROUP_ROWS, EncodedFile, write_encoded
from seqrec.rankers.row_batches import RowBatches
from seqrec.serving.feature_encoding import Encoding
from seqrec.towers.matching_inputs import MatchingInputs
from seqrec.towers.tower_survey import MIX, TowerSurvey
from seqrec.training.processes import Process

HASHES = 2**40  # values of a row's hash: float64, in which processes sum, holds the sums of 8,192 of them


class TowerBatch(NamedTuple):
    """B users, and C items of which the first B are theirs: features (B, Fu) and (C, Fi), and the items' numbers (C,)."""

    users: torch.Tensor
    items: torch.Tensor
    numbers: torch.Tensor

    @property
    def losses(self) -> float:
        """How many users there are."""
        return float(len(self.users))

    @property
    def tokens(self) -> int:
        """How many rows the towers read: users and items."""
        return len(self.users) + len(self.items)

    def parts(self, number: int) -> "list[TowerBatch]":  # noqa: ARG002 - the loop asks for it
        """The batch alone, whatever the number: its items are negatives of all of its users."""
        return [self]

    def to(self, device: torch.device) -> "TowerBatch":
        """The batch on a device; the copy doesn't wait."""
        return TowerBatch(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True, kw_only=True)
class TowerRows:
    """A process's training rows, encoded: those of positives with features of users and items, those of negatives of items."""

    positives: EncodedFile
    negatives: EncodedFile
    user_features: int

    def tell(self, process: Process) -> str:
        """A text that tells the training rows of all processes apart from others, see `hash_rows`."""
        mine = torch.tensor([float(hash_rows(file)) for file in (self.positives, self.negatives)], dtype=torch.float64)
        return "-".join(f"{int(total) % HASHES:010x}" for total in process.sum(mine).tolist())


@dataclass(frozen=True, kw_only=True)
class TowerBatches:
    """An epoch's batches, of which every rank has as many; negatives are None where there are none."""

    positives: RowBatches
    negatives: RowBatches | None
    user_features: int

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return self.positives.steps

    def epoch(self, epoch: int, *, skip: int = 0) -> Generator[TowerBatch, None, None]:
        """The batches of an epoch, the first `skip` of them left out; always the same for an epoch."""
        with closing(self.positives.epoch(epoch, skip=skip)) as positives:
            if self.negatives is None:
                yield from (self._batch(rows.features) for rows in positives)
                return
            with closing(self.negatives.epoch(epoch, skip=skip)) as negatives:
                for rows, others in zip(positives, negatives, strict=True):
                    yield self._batch(rows.features, others.features)

    def _batch(self, rows: torch.Tensor, *others: torch.Tensor) -> TowerBatch:
        """Of positives (B, 1 + Fu + Fi) and, where there are some, negatives (C - B, 1 + Fi)."""
        end = 1 + self.user_features
        items = torch.cat([rows[:, end:], *(negatives[:, 1:] for negatives in others)])
        numbers = torch.cat([rows[:, 0], *(negatives[:, 0] for negatives in others)])
        return TowerBatch(users=rows[:, 1:end], items=items, numbers=numbers.to(torch.int64))


def write_tower_rows(inputs: MatchingInputs, survey: TowerSurvey, process: Process, folder: Path) -> TowerRows:
    """Encode this process's training rows into two files in a local folder."""
    numbers, users, items = (survey.item_numbers,), survey.users.columns, survey.items.columns
    pairs, alone = Encoding(columns=(*numbers, *users, *items)), Encoding(columns=(*numbers, *items))
    return TowerRows(
        positives=write_encoded(inputs.samples, pairs, process, folder / "positives.parquet", label=1),
        negatives=write_encoded(inputs.samples, alone, process, folder / "negatives.parquet", label=0),
        user_features=len(survey.users.features),
    )


def hash_rows(file: EncodedFile) -> int:
    """The sum of a hash of each row of a file, modulo HASHES: the order of the rows doesn't matter."""
    weights = np.random.default_rng(0).integers(1, 2**63, len(file.columns), dtype=np.uint64) | np.uint64(1)
    total = 0
    with pq.ParquetFile(file.path) as source:
        for batch in source.iter_batches(GROUP_ROWS):
            values = np.column_stack([column.to_numpy() for column in batch.columns])  # (n, F + 1) float32
            hashes = (values.view(np.uint32).astype(np.uint64) * weights).sum(axis=1)  # multiply-add, modulo 2^64
            hashes = (hashes ^ (hashes >> np.uint64(32))) * MIX
            total += int((hashes >> np.uint64(24)).sum())
    return total % HASHES


def tower_batches(rows: TowerRows, *, steps: int, rank: int, pool_batches: int, workers: int, seed: int) -> TowerBatches:
    """The batches of a process."""

    def batches(file: EncodedFile) -> RowBatches:
        return RowBatches(file=file, steps=steps, rank=rank, pool_batches=pool_batches, workers=workers, seed=seed)

    negatives = batches(rows.negatives) if rows.negatives.rows else None
    return TowerBatches(positives=batches(rows.positives), negatives=negatives, user_features=rows.user_features)
