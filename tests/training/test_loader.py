"""Every window once an epoch, in seeded batches of like length, sharded by file."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.export.parity import sample_histories
from seqrec.storage import versions
from seqrec.training.cuts import Cut
from seqrec.training.loader import Batches, Pooling, Shard, Windows, count_steps, open_shard
from seqrec.training.training_data import open_training_data, read_user_hashes
from seqrec.training.validation import UserSample, read_validation_users
from seqrec.user_hashes import hash_ids
from tests.training.conftest import ALONE, MAX_LEN, RUN_ID, USERS, V, write_dataset


def batches(shard: Shard, *, steps: int = 5, rank: int = 0, seed: int = 1, known: NDArray[np.int64] | None = None) -> Batches:
    pooling = Pooling(pool_batches=2, seed=seed, workers=1)
    return Batches(shard=shard, user_hashes=known, width=MAX_LEN + 1, steps=steps, rank=rank, pooling=pooling)


def shard_of(tmp_path: Path, *, rank: int = 0, world: int = 1, cache: Path | None = None) -> Shard:
    windows = str(tmp_path / "data" / RUN_ID / "windows")
    return open_shard(windows, rank=rank, world=world, cache=cache or tmp_path / "cache")


def rows(source: list[Windows]) -> list[tuple[int, ...]]:
    return sorted(tuple(row[row > 0].tolist()) for batch in source for row in batch.items)


def lists(source: Iterable[Windows]) -> list[list[list[int]]]:
    return [batch.items.tolist() for batch in source]


def test_an_epoch_holds_every_window_once(tmp_path: Path, windows: list[list[int]]) -> None:
    epoch = list(batches(shard_of(tmp_path)).epoch(0))
    assert len(epoch) == 5
    assert rows(epoch) == sorted(map(tuple, windows))


@pytest.mark.parametrize("name", ["a b", "[x]", "a%20b", "a#b", "ü"])
def test_the_dataset_s_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    written = write_dataset(tmp_path / name / "data")
    assert rows(list(batches(shard_of(tmp_path / name, cache=tmp_path)).epoch(0))) == sorted(map(tuple, written))


def test_batches_are_left_padded_to_their_longest_window(tmp_path: Path, windows: list[list[int]]) -> None:
    for batch in batches(shard_of(tmp_path)).epoch(0):
        assert batch.items.dtype == torch.int64
        assert (batch.items[:, 0] > 0).any()
        assert (batch.items[:, -1] > 0).all()
        assert batch.users.tolist() == [0] * len(batch.items)


def test_little_is_padded(tmp_path: Path, windows: list[list[int]]) -> None:
    epoch = list(batches(shard_of(tmp_path), steps=6).epoch(0))
    padded, real = sum(batch.items.numel() for batch in epoch), sum(map(len, windows))
    assert padded < 1.35 * real < USERS * (MAX_LEN + 1)


def test_epochs_differ_and_repeat_by_seed(tmp_path: Path, windows: list[list[int]]) -> None:
    source = batches(shard_of(tmp_path))
    first, again, second = (lists(source.epoch(number)) for number in (0, 0, 1))
    assert first == again
    assert first != second
    assert first != lists(batches(shard_of(tmp_path), seed=2).epoch(0))


@pytest.mark.parametrize("skip", [1, 2, 3, 5])
def test_skipping_leaves_the_rest_as_it_was(tmp_path: Path, windows: list[list[int]], skip: int) -> None:
    source = batches(shard_of(tmp_path))
    whole = lists(source.epoch(4))
    assert lists(source.epoch(4, skip=skip)) == whole[skip:]


def test_each_window_comes_with_its_user(tmp_path: Path, windows: list[list[int]]) -> None:
    hashes = hash_ids(pa.array(range(USERS)))
    known = np.sort(hashes[::2])  # every second user isn't known
    place = {int(owner): number for number, owner in enumerate(known, 1)}
    wanted = sorted((place.get(int(owner), 0), *window) for owner, window in zip(hashes, windows, strict=True))
    found = [
        (user, *row[row > 0].tolist())
        for batch in batches(shard_of(tmp_path), known=known).epoch(0)
        for user, row in zip(batch.users.tolist(), batch.items, strict=True)
    ]
    assert sorted(found) == wanted


@pytest.mark.parametrize(("users", "steps"), [(18, 17), (18, 18), (22, 21), (33, 32)])
def test_every_batch_gets_a_window_where_there_are_hardly_more_than_batches(tmp_path: Path, users: int, steps: int) -> None:
    windows = write_dataset(tmp_path / "data", users=users)
    source = batches(shard_of(tmp_path), steps=steps)
    for pool_batches in (1, 3, 4, 40):
        epoch = list(replace(source, pooling=replace(source.pooling, pool_batches=pool_batches)).epoch(0))
        assert len(epoch) == steps
        assert min(len(batch.items) for batch in epoch) > 0
        assert rows(epoch) == sorted(map(tuple, windows))


def test_files_without_windows_are_passed_over(tmp_path: Path, windows: list[list[int]]) -> None:
    table = tmp_path / "data" / RUN_ID / "windows"
    first = pq.read_table(table / "part-00000.parquet")
    pq.write_table(first.slice(0, 0), table / "part-00000.parquet")
    pq.write_table(first, table / "part-00009.parquet")
    assert rows(list(batches(shard_of(tmp_path)).epoch(0))) == sorted(map(tuple, windows))


def test_a_table_without_windows_is_refused(tmp_path: Path, windows: list[list[int]]) -> None:
    for path in (tmp_path / "data" / RUN_ID / "windows").glob("*.parquet"):
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(UserError, match=r"has no training windows: no user has two training events"):
        count_steps(shard_of(tmp_path).rows, step_windows=4, process=ALONE)


def test_shards_are_disjoint_and_whole(tmp_path: Path, windows: list[list[int]]) -> None:
    parts = [list(batches(shard_of(tmp_path, rank=rank, world=2), steps=3, rank=rank).epoch(0)) for rank in (0, 1)]
    assert [len(part) for part in parts] == [3, 3]
    assert sorted(rows(parts[0]) + rows(parts[1])) == sorted(map(tuple, windows))


def test_more_processes_than_files_are_refused(tmp_path: Path, windows: list[list[int]]) -> None:
    with pytest.raises(UserError, match=r"has 4 files for 5 processes.*files_multiple=5"):
        shard_of(tmp_path, world=5)


def test_a_temporary_folder_that_petastorm_cannot_read_from_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a#b" / "data")
    with pytest.raises(UserError, match="set TMPDIR to another"):
        shard_of(tmp_path / "a#b")


def test_an_unfinished_table_is_refused(tmp_path: Path, windows: list[list[int]]) -> None:
    (tmp_path / "data" / RUN_ID / "windows" / "_SUCCESS").unlink()
    with pytest.raises(UserError, match="no _SUCCESS"):
        shard_of(tmp_path)


def test_a_dataset_that_lost_a_part_is_refused(tmp_path: Path, windows: list[list[int]]) -> None:
    version = tmp_path / "data" / RUN_ID
    versions.write_meta(str(version), versions.read_meta(str(version)))
    data = open_training_data(str(version), tmp_path)
    validation: dict[str, Any] = {"sample": UserSample(users=None, seed=0), "process": ALONE, "cache": tmp_path}
    readers: list[tuple[str, Callable[[], object]]] = [
        ("windows", lambda: shard_of(tmp_path)),
        ("windows", lambda: read_user_hashes(data, tmp_path)),
        ("items", lambda: open_training_data(str(version), tmp_path)),
        ("valid", lambda: read_validation_users(data, user_hashes=None, max_len=MAX_LEN, **validation)),
        ("test", lambda: sample_histories(f"{version}/test", users=2, end=V, max_len=MAX_LEN, cache=tmp_path)),
    ]
    for table, read in readers:
        part = version / table / "part-00000.parquet"
        content = part.read_bytes()
        read()
        part.write_bytes(b"")
        with pytest.raises(
            UserError, match=rf"part-00000\.parquet has 0 bytes, {len(content):,} were written: run build_sequences"
        ):
            read()
        part.write_bytes(content)


def test_rows_that_go_missing_are_noticed(tmp_path: Path, windows: list[list[int]]) -> None:
    shard = shard_of(tmp_path)
    with pytest.raises(UserError, match=r"read 60 windows of 61"):
        list(batches(Shard(urls=shard.urls, rows=shard.rows + 1, windows=shard.windows)).epoch(0))


def test_windows_are_cut_anew_in_each_epoch(tmp_path: Path, windows: list[list[int]]) -> None:
    """Without a shift an epoch holds each pair of neighbours once; with one, an epoch repeats and others differ."""
    table = str(tmp_path / "data" / RUN_ID / "windows")
    cut = Cut(max_len=3, overlap=1, shift=0)
    shard = open_shard(table, rank=0, world=1, cache=tmp_path / "cache", cut=cut)
    assert (shard.rows, shard.windows) == (60, cut.count(np.array([len(window) for window in windows])))
    source = replace(batches(shard, steps=9), cut=cut)
    pairs = [
        (row[place], row[place + 1])
        for batch in source.epoch(0)
        for row, others in zip((row[row > 0].tolist() for row in batch.items), batch.others.tolist(), strict=True)
        for place in range(others, len(row) - 1)
    ]
    assert sorted(pairs) == sorted(pair for window in windows for pair in pairwise(window))
    shifted = replace(source, cut=replace(cut, shift=2))
    assert len(list(shifted.epoch(0))) == 9
    assert rows(list(shifted.epoch(0))) == rows(list(shifted.epoch(0))) != rows(list(shifted.epoch(1)))
    assert lists(shifted.epoch(1, skip=4)) == lists(shifted.epoch(1))[4:]


def test_batches_have_what_stands_before_their_windows(tmp_path: Path, windows: list[list[int]]) -> None:
    """Batches are the same with and without it: windows of like length lie together, whatever stands before them."""
    table = str(tmp_path / "data" / RUN_ID / "windows")
    cut = Cut(max_len=3, overlap=1, shift=0)
    shard = open_shard(table, rank=0, world=1, cache=tmp_path / "cache", cut=cut)
    alone = list(replace(batches(shard, steps=9), cut=cut).epoch(0))
    whole = list(replace(batches(shard, steps=9), cut=replace(cut, keeps_older=True)).epoch(0))
    assert [batch.items.tolist() for batch in whole] == [batch.items.tolist() for batch in alone]
    assert all(batch.older is None for batch in alone)
    for batch in whole:
        assert batch.older is not None
        for older, newest in zip(batch.older.tolist(), batch.items.tolist(), strict=True):
            row = [item for item in (*older, *newest) if item]
            assert any(row == window[: len(row)] for window in windows)


@pytest.mark.parametrize(("max_len", "shift"), [(3, 0), (3, 4), (8, 8)])
def test_windows_of_a_pool_come_twice_where_they_are_fewer_than_its_batches(
    tmp_path: Path, windows: list[list[int]], max_len: int, shift: int
) -> None:
    """Batches of one window, as many as there are without a shift, which no two pools have alike."""
    cut = Cut(max_len=max_len, overlap=0, shift=shift)
    shard = open_shard(str(tmp_path / "data" / RUN_ID / "windows"), rank=0, world=1, cache=tmp_path / "cache", cut=cut)
    source = replace(batches(shard, steps=shard.windows), cut=cut)
    epoch = list(source.epoch(0))
    assert len(epoch) == shard.windows
    assert all(len(batch.items) for batch in epoch)
    assert len(rows(epoch)) > shard.windows or shift
    assert lists(source.epoch(0, skip=7)) == lists(epoch)[7:]
    if shift == 0:
        assert set(rows(epoch)) == set(rows(list(replace(source, steps=9).epoch(0))))


def test_many_epochs_lose_nothing(tmp_path: Path) -> None:
    windows = write_dataset(tmp_path / "data", files=12)
    source = batches(shard_of(tmp_path), steps=4)
    for number in range(20):
        assert rows(list(source.epoch(number))) == sorted(map(tuple, windows))
    assert np.mean([len(batch.items) for batch in source.epoch(0)]) == USERS / 4
