"""Encoded rows through Petastorm, in shuffled batches: every row once an epoch.

Row groups come in a seeded order, are gathered in pools, and shuffled within their pool. The order repeats exactly for a seed, an
epoch and a rank, so a resumed training gets the same batches as one that never stopped.
"""

import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from petastorm import make_batch_reader

from seqrec.errors import UserError
from seqrec.rankers.encoded_rows import EncodedFile, sample_features
from seqrec.training.processes import Process

FITTED_ROWS = 100_000  # of which quantiles are taken


class RowBatch(NamedTuple):
    """Rows to learn from: features float32 (N, F), labels float32 (N,)."""

    features: torch.Tensor
    labels: torch.Tensor

    @property
    def losses(self) -> float:
        """How many rows there are."""
        return float(len(self.labels))

    @property
    def tokens(self) -> int:
        """How many rows the network reads."""
        return len(self.labels)

    def parts(self, number: int) -> "list[RowBatch]":
        """The rows in at most `number` parts of near-equal size, in order."""
        parts = min(number, len(self.labels))
        return [RowBatch(*part) for part in zip(self.features.tensor_split(parts), self.labels.tensor_split(parts), strict=True)]

    def to(self, device: torch.device) -> "RowBatch":
        """The batch on a device; the copy doesn't wait."""
        return RowBatch(self.features.to(device, non_blocking=True), self.labels.to(device, non_blocking=True))


@dataclass(frozen=True, kw_only=True)
class RowBatches:
    """An epoch's batches; every rank has as many, and at least as many rows."""

    file: EncodedFile
    steps: int  # of an epoch
    rank: int
    pool_batches: int  # batches whose rows are shuffled together
    workers: int  # Petastorm's threads; with one the order of rows repeats exactly
    seed: int

    def epoch(self, epoch: int, *, skip: int = 0) -> Generator[RowBatch, None, None]:
        """The batches of an epoch, the first `skip` of them left out; UserError if Petastorm delivers another number of rows."""
        bounds = [self.file.rows * step // self.steps for step in range(self.steps + 1)]
        firsts = list(range(0, self.steps, self.pool_batches))
        ends = [*firsts[1:], self.steps]
        sizes = [bounds[end] - bounds[first] for first, end in zip(firsts, ends, strict=True)]
        for first, end, rows in zip(firsts, ends, self._pools(sizes, seed=self.seed + 1 + epoch), strict=True):
            shuffled = rows[np.random.default_rng((self.seed, epoch, first, self.rank)).permutation(len(rows))]
            for step in range(max(first, skip), end):
                batch = torch.from_numpy(shuffled[bounds[step] - bounds[first] : bounds[step + 1] - bounds[first]])
                yield RowBatch(batch[:, :-1], batch[:, -1])

    def _pools(self, sizes: list[int], *, seed: int) -> Iterator[NDArray[np.float32]]:
        """Pools of these sizes, each (n, F + 1) with the label last, from row groups in a seeded order."""
        waiting, delivered, left = np.empty((0, len(self.file.columns)), np.float32), 0, list(sizes)
        warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")  # of pyarrow's old dataset API
        with make_batch_reader(
            f"file://{self.file.path.absolute()}",
            reader_pool_type="thread",
            workers_count=self.workers,
            shuffle_row_groups=True,
            seed=seed,
            num_epochs=1,
        ) as reader:
            for group in reader:
                rows = np.column_stack([getattr(group, name) for name in self.file.columns])
                waiting, delivered = np.concatenate([waiting, rows]), delivered + len(rows)
                while left and len(waiting) >= left[0]:
                    size = left.pop(0)
                    yield waiting[:size]
                    waiting = waiting[size:]
        if left or delivered != self.file.rows:
            raise UserError(f"Petastorm read {delivered} rows of {self.file.rows} in {self.file.path}: run it again")


def count_row_steps(rows: int, *, batch_size: int, process: Process, key: str = "wide_deep.batch_size") -> int:
    """Steps of an epoch, each of at most `batch_size` rows of a rank; UserError, on all ranks, if a rank has too few rows.

    `key` is the setting that says how many rows a batch has.
    """
    most, least = (int(value) for value in process.max(torch.tensor([rows, -rows])).tolist())
    steps = -(-most // batch_size)
    if -least < max(1, steps):
        raise UserError(
            f"an epoch has {steps} steps of {key}={batch_size}, but one of {process.world} processes has {-least} "
            f"rows of train: train with fewer processes, or raise {key}"
        )
    return steps


def shared_rows(
    file: EncodedFile, features: Sequence[int], process: Process, *, seed: int, most: int = FITTED_ROWS
) -> torch.Tensor:
    """Some features (n, len(features)) of rows drawn from the files of all processes, NaN where one has fewer; float64."""
    mine = sample_features(file, most=max(1, most // process.world), seed=seed)[:, features]
    longest = int(process.max(torch.tensor([len(mine)])).item())
    rows = torch.zeros(process.world, longest, mine.shape[1], dtype=torch.float64)
    rows[process.rank] = float("nan")  # where another process has a row more
    rows[process.rank, : len(mine)] = torch.from_numpy(mine)
    return process.sum(rows).flatten(0, 1)
