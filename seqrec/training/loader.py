"""Training windows through Petastorm, in batches of like length.

Windows are gathered in pools, shuffled within their pool, sorted by length, and cut where each batch gets about the same number
of items: little is padded, and steps take about equally long. The order repeats exactly for a seed, an epoch and a rank, so a
resumed training gets the same batches as one that never stopped.
"""

import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from petastorm import make_batch_reader
from petastorm.reader import Reader
from petastorm.transform import TransformSpec

from seqrec import user_hashes
from seqrec.errors import UserError
from seqrec.ragged import Ragged
from seqrec.storage import files, parts, versions
from seqrec.training.batching import copy_numbers, cut_by_length, part_sizes
from seqrec.training.cuts import Cut, Rows
from seqrec.training.processes import Process


class Windows(NamedTuple):
    """The windows of a batch, int64."""

    items: torch.Tensor  # (B, L), left-padded with 0 to the longest window
    users: torch.Tensor  # (B,), the rows of the users among those with embeddings; 0 for all others
    others: torch.Tensor  # (B,), how many of the first targets are left to another window
    copies: torch.Tensor | None = None  # (B,), which of an epoch's copies of its window each is; None: there is one copy
    older: torch.Tensor | None = None  # (B, O), what stands before each window in its row, left-padded; None: nothing is kept


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The window files of one rank, on this machine, how many rows they hold, and how many windows are made of these."""

    urls: tuple[str, ...]
    rows: int
    windows: int


@dataclass(frozen=True, kw_only=True)
class TrainingTable:
    """A table that is trained on, whose rows are items: a list, and further items after it, each in a column of its own."""

    path: str
    columns: tuple[str, ...]  # of a row: the list, then the further items
    longest: int  # items of a row, at most
    rows: str  # how many, with their noun


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """How windows become batches."""

    pool_batches: int  # batches in a pool
    seed: int
    workers: int  # Petastorm's threads; with one the order of rows repeats exactly


@dataclass(frozen=True, kw_only=True)
class Batches:
    """An epoch's batches: every window once in each of its passes, or twice in a pool that would else have fewer windows than
    batches (see `_cut`). Every rank has the same number of batches, and at least as many windows, without a shift, as a pass has.

    The order of a pool's batches is shuffled alike on every rank, so that the ranks step through windows of like length together.
    With several passes, each pass has a seed of its own, and a window is another of its copies in each pass of an epoch.
    """

    shard: Shard
    user_hashes: NDArray[np.int64] | None  # of the users with embeddings, sorted; None for a model without
    width: int  # items of the longest row
    steps: int  # of an epoch
    rank: int
    pooling: Pooling
    cut: Cut | None = None  # of rows into windows; None: a row is a window
    passes: int = 1  # over the windows in an epoch, each of the same number of steps
    columns: tuple[str, ...] = ("items",)  # of a row: see TrainingTable

    def epoch(self, epoch: int, *, skip: int = 0) -> Generator[Windows, None, None]:
        """The batches of an epoch, the first `skip` of them left out.

        Raises UserError if Petastorm delivers another number of windows than the footers say.
        """
        steps = self.steps // self.passes
        for number in range(epoch * self.passes + skip // steps, (epoch + 1) * self.passes):
            for rows in self._pass(number, steps=steps, skip=skip % steps):
                batch = torch.from_numpy(rows.astype(np.int64))
                copies = torch.from_numpy(copy_numbers(rows, copies=self.passes, number=number)) if self.passes > 1 else None
                items = batch[:, 2:]
                newest, older = (
                    (items, None) if self._longest is None else (items[:, -self._longest :], items[:, : -self._longest])
                )
                yield Windows(newest, batch[:, 0], batch[:, 1], copies, older)
            skip = 0

    @property
    def _longest(self) -> int | None:
        """The items of a window at most, where what stands before it comes with it."""
        return self.cut.max_len + 1 if self.cut is not None and self.cut.keeps_older else None

    def _pass(self, number: int, *, steps: int, skip: int) -> Iterator[Rows]:
        """The batches of a pass over the windows, the first `skip` of them left out; passes are counted over all epochs."""
        seed, rows = self.pooling.seed, self.shard.rows
        pools = min(rows, -(-steps // self.pooling.pool_batches))
        counts = np.diff([steps * pool // pools for pool in range(pools + 1)]).tolist()  # batches of each pool
        fewest = counts if self.cut is None else [1] * pools
        sizes = part_sizes([rows * pool // pools for pool in range(1, pools)], fewest, rows)  # rows of each pool
        for pool, (count, pooled) in enumerate(zip(counts, self._pools(sizes, seed=seed + 1 + number), strict=True)):
            if skip >= count:
                skip -= count
                continue
            of_rank = np.random.default_rng((seed, number, pool, self.rank))
            of_all_ranks = np.random.default_rng((seed, number, pool))
            if self.cut is not None:
                pooled = self._cut(pooled, np.random.default_rng((seed, number, pool, self.rank, 1)), batches=count)
            batches = cut_by_length(pooled[of_rank.permutation(len(pooled))], count, longest=self._longest)
            for index in of_all_ranks.permutation(count)[skip:]:
                yield batches[index]
            skip = 0

    def _cut(self, rows: Rows, rng: np.random.Generator, *, batches: int) -> Rows:
        """The windows of a pool's rows; if they are fewer than its batches, some come twice.

        Pools have equal shares of the batches, which all ranks count alike, and not of the windows: rows differ in length, and
        a shift takes windows away. With batches of one or two windows, a pool may so have fewer of them.
        """
        assert self.cut is not None
        windows = self.cut.windows(rows, rng)
        again = rng.integers(len(windows), size=max(0, batches - len(windows)))
        return np.concatenate([windows, windows[again]]) if len(again) else windows

    def _pools(self, sizes: list[int], *, seed: int) -> Iterator[Rows]:
        """Pools of these sizes, from row groups in a seeded order."""
        waiting: list[Rows] = []
        delivered = 0
        with self._reader(seed) as reader:
            for group in reader:
                waiting.append(group.items)
                delivered += len(group.items)
                while sizes and sum(map(len, waiting)) >= sizes[0]:
                    rows, size = np.concatenate(waiting), sizes.pop(0)
                    waiting = [rows[size:]]
                    yield rows[:size]
        if sizes or delivered != self.shard.rows:
            raise UserError(
                f"Petastorm read {delivered} windows of {self.shard.rows} in {len(self.shard.urls)} files: rebuild the dataset"
            )

    def _reader(self, seed: int) -> Reader:
        """Petastorm's reader of the shard; a row group comes as Rows, in the field `items`."""
        warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")  # of pyarrow's old dataset API
        spec = TransformSpec(
            lambda frame: pd.DataFrame({"items": list(self._rows(frame))}),
            edit_fields=[("items", np.int32, (2 + self.width,), False)],
            selected_fields=["items"],
        )
        return make_batch_reader(
            list(self.shard.urls),
            schema_fields=[*self.columns, *(["user"] if self.user_hashes is not None else [])],
            reader_pool_type="thread",
            workers_count=self.pooling.workers,
            shuffle_row_groups=True,
            seed=seed,
            num_epochs=1,
            transform_spec=spec,
        )

    def _rows(self, frame: pd.DataFrame) -> Rows:
        """The windows of a row group, padded; see Rows."""
        if self.user_hashes is None:
            users = np.full(len(frame), user_hashes.UNKNOWN)
        else:
            users = user_hashes.user_rows(frame["user"].to_numpy(), self.user_hashes)
        listed, *further = self.columns
        windows = Ragged.of_arrays(frame[listed].to_list())
        padded = windows.left_padded(np.arange(len(windows)), self.width - len(further))
        return np.column_stack([users, np.zeros(len(users)), padded, *(frame[name] for name in further)]).astype(np.int32)


def open_shard(table: str, *, rank: int, world: int, cache: Path, cut: Cut | None = None) -> Shard:
    """The rank's files of the windows table; remote ones are copied to the cache first.

    Raises UserError if the table isn't whole (see `versions.table_files`) or has fewer files than there are ranks.
    """
    names = versions.table_files(table)
    if len(names) < world:
        raise UserError(
            f"{table} has {len(names)} files for {world} processes: {_job_of(table)} with files_multiple={world} "
            "and smaller rows_per_file, or train with fewer processes"
        )
    local = [files.fetch(files.join(table, name), cache).absolute() for name in names[rank::world]]
    rows = {path: pq.read_metadata(path).num_rows for path in local}
    links = cache / "links"
    urls = tuple(_url(path, links / f"{number:05d}.parquet") for number, (path, count) in enumerate(rows.items()) if count)
    total = sum(rows.values())
    windows = (
        total if cut is None else sum(cut.count(pq.read_table(path, columns=["length"])["length"].to_numpy()) for path in rows)
    )
    return Shard(urls=urls, rows=total, windows=windows)


def count_steps(rows: int, *, step_windows: int, process: Process, table: str = "windows") -> int:
    """Steps of an epoch, each of `step_windows` windows on the rank with the most; rows are this rank's windows.

    Raises UserError, on all ranks, if there are no windows at all, or if a rank has fewer windows than there are batches.
    """
    most, least = (int(value) for value in process.max(torch.tensor([rows, -rows])).tolist())
    if not most:
        raise UserError("the dataset has no training windows: no user has two training events, so there is nothing to learn from")
    steps = -(-most // step_windows)
    if -least < steps:
        raise UserError(
            f"an epoch has {steps} steps of {step_windows} windows (batch_size · accumulate_steps), but one of {process.world} "
            f"processes has {-least} windows: {_job_of(table)} with files_multiple={process.world} and smaller "
            "rows_per_file, raise batch_size, or train with fewer processes"
        )
    return steps


def _job_of(table: str) -> str:
    """The remedy for the path of a table that suits the processes badly: which job to run."""
    return parts.job_of(table.rsplit("/", 1)[-1])


def _url(path: Path, link: Path) -> str:
    """The file URL of a path for Petastorm, which unquotes nothing: if # or ? would cut the path, that of a symbolic link."""
    if urlparse(f"file://{path}").path != str(path):
        if urlparse(f"file://{link}").path != str(link):
            raise UserError(
                f"{link.parent}: Petastorm can't read from a temporary folder with such a name: set TMPDIR to another"
            )
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        path = link
    return f"file://{path}"
