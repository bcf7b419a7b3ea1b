"""Training windows through Petastorm, in batches of like length."""

import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
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
from petastorm.transform import TransformSpec

from seqrec import user_hashes
from seqrec.errors import UserError
from seqrec.storage import files, versions
from seqrec.training.processes import Process

Rows = NDArray[np.int32]  # (N, 1 + width): the user's place, then the window, left-padded


class Batch(NamedTuple):
    """A batch of windows: items int64 (B, L), left-padded with 0 to the longest of them, and the places of their users (B,)."""

    items: torch.Tensor
    users: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The window files of one rank, local or copied there, and how many windows they hold."""

    urls: tuple[str, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class Batches:
    """An epoch's batches: every window once, in `steps` batches, as many on every rank, none of which has fewer windows.

    Windows are gathered in pools of `pool_batches` batches, shuffled, sorted by length, and cut where each batch gets
    about the same number of items; the order of a pool's batches is shuffled alike on every rank. Users are placed among those
    known (see `user_hashes.user_rows`).
    """

    shard: Shard
    known: NDArray[np.int64]
    width: int
    steps: int
    pool_batches: int
    seed: int
    rank: int
    workers: int

    def epoch(self, epoch: int, *, skip: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch, the first `skip` of them left out.

        Raises UserError if Petastorm delivers another number of windows than the footers say.
        """
        pools = -(-self.steps // self.pool_batches)
        step_cuts = np.array([self.steps * pool // pools for pool in range(pools + 1)])
        row_cuts = np.array([self.shard.rows * pool // pools for pool in range(pools + 1)])
        row_cuts = step_cuts + np.maximum.accumulate(row_cuts - step_cuts).clip(max=self.shard.rows - self.steps)
        sizes, seed = np.diff(row_cuts).tolist(), self.seed + 1 + epoch
        source = _pools(self.shard, self.known, self.width, sizes, seed=seed, workers=self.workers)
        for pool, rows in enumerate(source):
            count = int(step_cuts[pool + 1] - step_cuts[pool])
            if skip >= count:
                skip -= count
                continue
            own = np.random.default_rng((self.seed, epoch, pool, self.rank))
            shared = np.random.default_rng((self.seed, epoch, pool))
            batches = _cut(rows[own.permutation(len(rows))], count)
            for index in shared.permutation(count)[skip:]:
                batch = torch.from_numpy(batches[index].astype(np.int64))
                yield Batch(batch[:, 1:], batch[:, 0])
            skip = 0


def open_shard(table: str, *, rank: int, world: int, cache: Path) -> Shard:
    """The rank's files of the windows table; remote ones are copied to the cache first.

    Raises UserError if the table isn't whole (see `versions.table_files`) or has fewer files than there are ranks.
    """
    parts = versions.table_files(table)
    if len(parts) < world:
        raise UserError(
            f"{table} has {len(parts)} files for {world} processes: run build_sequences with files_multiple={world} "
            "and smaller rows_per_file, or train with fewer processes"
        )
    local = [files.fetch(files.join(table, name), cache).absolute() for name in parts[rank::world]]
    rows = {path: pq.read_metadata(path).num_rows for path in local}
    links = cache / "links"
    urls = tuple(_url(path, links / f"{number:05d}.parquet") for number, (path, count) in enumerate(rows.items()) if count)
    return Shard(urls=urls, rows=sum(rows.values()))


def count_steps(rows: int, *, batch_size: int, process: Process) -> int:
    """Batches of an epoch, of batch_size on the rank with the most windows; rows are this rank's windows.

    Raises UserError, on all ranks, if there are no windows at all, or if a rank has fewer windows than there are batches.
    """
    most, least = (int(value) for value in process.max(torch.tensor([rows, -rows])).tolist())
    if not most:
        raise UserError("the dataset has no training windows: no user has two training events, so there is nothing to learn from")
    steps = -(-most // batch_size)
    if -least < steps:
        raise UserError(
            f"an epoch has {steps} steps of batch_size={batch_size}, but one of {process.world} processes has {-least} windows: "
            f"run build_sequences with files_multiple={process.world} and smaller rows_per_file, raise batch_size, or train with "
            "fewer processes"
        )
    return steps


def _url(path: Path, link: Path) -> str:
    """The URL in which Petastorm, which unquotes nothing, finds the path: of a link to it, where it would be cut at a # or ?."""
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


def _pools(
    shard: Shard, known: NDArray[np.int64], width: int, sizes: Sequence[int], *, seed: int, workers: int
) -> Iterator[Rows]:
    """Pools of the given sizes, from row groups in a seeded order."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")  # of pyarrow's old dataset API
    read = ["items", "user"] if len(known) else ["items"]
    spec = TransformSpec(
        lambda frame: pd.DataFrame({"items": list(_rows(frame, known, width))}),
        edit_fields=[("items", np.int32, (1 + width,), False)],
        selected_fields=["items"],
    )
    reader = make_batch_reader(
        list(shard.urls),
        schema_fields=read,
        reader_pool_type="thread",
        workers_count=workers,
        shuffle_row_groups=True,
        seed=seed,
        num_epochs=1,
        transform_spec=spec,
    )
    held: list[Rows] = []
    wanted = list(sizes)
    delivered = 0
    with reader:
        for group in reader:
            held.append(group.items)
            delivered += len(group.items)
            while wanted and sum(map(len, held)) >= wanted[0]:
                rows, size = np.concatenate(held), wanted.pop(0)
                held = [rows[size:]]
                yield rows[:size]
    if wanted or delivered != shard.rows:
        raise UserError(f"Petastorm read {delivered} windows of {shard.rows} in {len(shard.urls)} files: rebuild the dataset")


def _rows(frame: pd.DataFrame, known: NDArray[np.int64], width: int) -> Rows:
    placed = user_hashes.user_rows(frame["user"].to_numpy(), known) if len(known) else np.full(len(frame), user_hashes.UNKNOWN)
    return np.column_stack([placed.astype(np.int32), _pad(frame["items"], width)])


def _pad(items: Iterable[Sequence[int]], width: int) -> NDArray[np.int32]:
    """Left-pad with 0 to (N, width); longer windows keep their newest items.

    >>> _pad([[7], [5, 6, 7, 8]], 3).tolist()
    [[0, 0, 7], [6, 7, 8]]
    """
    rows = [np.asarray(row[-width:], dtype=np.int32) for row in items]
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    padded = np.zeros((len(rows), width), dtype=np.int32)
    padded[np.arange(width) >= width - lengths[:, None]] = np.concatenate(rows)
    return padded


def _cut(rows: Rows, count: int) -> list[Rows]:
    """Rows by length, in `count` batches of near-equal numbers of items, without the columns that only pad.

    >>> [batch.tolist() for batch in _cut(np.array([[9, 0, 1, 2], [8, 1, 2, 3], [7, 0, 3, 4]], dtype=np.int32), 2)]
    [[[9, 1, 2], [7, 3, 4]], [[8, 1, 2, 3]]]
    """
    lengths = np.count_nonzero(rows[:, 1:], axis=1)
    order = np.argsort(lengths, kind="stable")
    total = np.cumsum(lengths[order])
    cuts = np.searchsorted(total, total[-1] * np.arange(1, count) / count, side="left") + 1
    least = np.arange(1, count)  # each batch gets a row at least
    cuts = np.minimum(np.maximum.accumulate(np.maximum(cuts, least) - least) + least, len(rows) - count + least)
    width = rows.shape[1]
    return [rows[part][:, [0, *range(width - lengths[part].max(), width)]] for part in np.split(order, cuts)]
