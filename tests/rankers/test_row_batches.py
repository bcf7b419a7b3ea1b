"""Encoded rows through Petastorm: each row once an epoch, on one of the ranks, in an order that repeats."""

import numpy as np
import pytest
import torch

from seqrec.errors import UserError
from seqrec.rankers import encoded_rows
from seqrec.rankers.chosen_columns import choose_columns
from seqrec.rankers.encoded_rows import EncodedFile, sample_features, write_encoded
from seqrec.rankers.row_batches import RowBatch, RowBatches, count_row_steps
from seqrec.rankers.sample_matrix import SampleMatrix, read_matrix
from seqrec.rankers.samples import LabelColumn, Labels, open_samples
from seqrec.rankers.survey import survey
from seqrec.serving.feature_encoding import Features
from seqrec.training.processes import Process
from tests.rankers.toy import sample_table, write_samples

WORLD = 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[SampleMatrix, list[EncodedFile]]:
    """The 294 training rows in memory, and the files of two ranks, in row groups of 32."""
    folder = tmp_path_factory.mktemp("rows")
    write_samples(folder / "samples", sample_table())
    samples = open_samples(str(folder / "samples"), label=LabelColumn())
    surveyed = survey(samples, choose_columns(samples, discrete=None, continuous=None), max_categories=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded_rows, "GROUP_ROWS", 32)
        processes = [Process(rank=rank, world=WORLD, device=torch.device("cpu")) for rank in range(WORLD)]
        files = [write_encoded(samples, surveyed.encoding, process, folder / f"{process.rank}.parquet") for process in processes]
    return read_matrix(samples, surveyed.encoding, split="train", rows=surveyed.rows["train"]), files


def batches_of(file: EncodedFile, *, steps: int = 7, rank: int = 0) -> RowBatches:
    return RowBatches(file=file, steps=steps, rank=rank, pool_batches=3, workers=1, seed=5)


def rows_of(batches: list[RowBatch]) -> list[tuple[float, ...]]:
    """Features and labels, a row a tuple; missing numbers as -1."""
    return [row for batch in batches for row in tuples(batch.features.numpy(), batch.labels.numpy())]


def tuples(features: Features, labels: Labels) -> list[tuple[float, ...]]:
    """Features (N, F) and labels (N,), a row a tuple; missing numbers as -1."""
    return [tuple(row) for row in np.nan_to_num(np.column_stack([features, labels]), nan=-1).tolist()]


def test_each_row_comes_once_an_epoch(whole: tuple[SampleMatrix, list[EncodedFile]]) -> None:
    rows, files = whole
    expected = sorted(tuples(rows.features, rows.labels))
    assert [file.rows for file in files] == [147, 147]
    epochs = [[list(batches_of(file).epoch(epoch)) for file in files] for epoch in (0, 1)]
    for ranks in epochs:
        assert sorted(row for batches in ranks for row in rows_of(batches)) == expected
        assert {len(batches) for batches in ranks} == {7}
        assert {len(batch.labels) for batches in ranks for batch in batches} == {21}
    first, second = (rows_of(ranks[0]) for ranks in epochs)
    assert first != second
    assert first != sorted(first)


def test_an_epoch_repeats_and_may_begin_anywhere(whole: tuple[SampleMatrix, list[EncodedFile]]) -> None:
    batches = batches_of(whole[1][1], rank=1)
    first = rows_of(list(batches.epoch(4)))
    assert rows_of(list(batches.epoch(4))) == first
    for skip in (1, 3, 6, 7):
        assert rows_of(list(batches.epoch(4, skip=skip))) == first[21 * skip :]


def test_a_sample_of_rows_is_drawn_without_return(whole: tuple[SampleMatrix, list[EncodedFile]]) -> None:
    file = whole[1][0]
    everything = {tuple(np.nan_to_num(row, nan=-1)) for row in sample_features(file, most=1000, seed=1)}
    some = sample_features(file, most=40, seed=1)
    assert some.shape == (40, file.features)
    assert {tuple(np.nan_to_num(row, nan=-1)) for row in some} <= everything
    assert len(sample_features(file, most=1000, seed=1)) == file.rows


def test_another_number_of_rows_than_expected_is_an_error(whole: tuple[SampleMatrix, list[EncodedFile]]) -> None:
    file = whole[1][0]
    wrong = EncodedFile(path=file.path, rows=file.rows + 1, features=file.features)
    with pytest.raises(UserError, match="Petastorm read 147 rows of 148"):
        list(batches_of(wrong).epoch(0))


def test_a_process_without_rows_is_refused() -> None:
    alone = Process(rank=0, world=1, device=torch.device("cpu"))
    assert count_row_steps(5, batch_size=2, process=alone) == 3
    with pytest.raises(UserError, match=r"one of 1 processes has 0 rows of train: train with fewer processes"):
        count_row_steps(0, batch_size=2, process=alone)


def test_parts_of_a_batch_are_its_rows() -> None:
    batch = RowBatch(torch.arange(10.0).view(5, 2), torch.arange(5.0))
    parts = batch.parts(2)
    assert [part.losses for part in parts] == [3, 2]
    assert torch.equal(torch.cat([part.features for part in parts]), batch.features)
    assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
