"""Windows that are cut from rows: each event is predicted once, from enough context."""

from dataclasses import replace

import numpy as np
import pytest

from seqrec.training.cuts import Cut, Rows

WIDTH = 41


def padded(lengths: list[int]) -> Rows:
    """A row of 1 to n for each length n, with the user's row 100 and up."""
    items = [[0] * (WIDTH - n) + list(range(1, n + 1)) for n in lengths]
    return np.array([[100 + user, 0, *row] for user, row in enumerate(items)], dtype=np.int32)


def predicted(window: list[int]) -> tuple[list[int], int]:
    """The targets of a window (its row of Rows), and the context of the first one."""
    items = [item for item in window[2:] if item]
    own = items[1 + window[1] :]
    return own, items.index(own[0]) if own else 0


@pytest.mark.parametrize(("max_len", "overlap"), [(4, 0), (4, 3), (7, 2), (40, 5), (1, 0)])
def test_every_event_but_the_first_is_predicted_once(max_len: int, overlap: int) -> None:
    lengths = [2, 3, 5, 6, 8, 9, 17, 41]
    cut = Cut(max_len=max_len, overlap=overlap, shift=0)
    windows = cut.windows(padded(lengths), np.random.default_rng(1))
    assert len(windows) == cut.count(np.array(lengths))
    assert windows.shape[1] == 2 + max_len + 1
    assert windows.dtype == np.int32
    for user, length in enumerate(lengths):
        of_row = [predicted(window.tolist()) for window in windows if window[0] == 100 + user]
        assert sorted(item for own, _ in of_row for item in own) == list(range(2, length + 1))
        assert all(context > overlap or own[0] == 2 for own, context in of_row)


def test_a_shift_moves_the_ends_of_half_of_the_rows() -> None:
    cut, rows = Cut(max_len=4, overlap=1, shift=3), padded([20] * 400)
    ends = [
        {user: max(window[2:].tolist()) for user, window in reversed([(w[0], w) for w in cut.windows(rows, rng)])}
        for rng in (np.random.default_rng(1), np.random.default_rng(2), np.random.default_rng(1))
    ]
    assert ends[0] == ends[2] != ends[1]
    counted = np.bincount(list(ends[0].values()), minlength=21)
    assert counted[20] == pytest.approx(200, abs=40)
    assert counted[17:20].tolist() == pytest.approx([200 / 3] * 3, abs=30)
    assert counted[:17].sum() == 0


def test_a_shift_leaves_two_items() -> None:
    windows = Cut(max_len=4, overlap=0, shift=30).windows(padded([2, 5] * 50), np.random.default_rng(1))
    assert (np.count_nonzero(windows[:, 2:], axis=1) >= 2).all()
    assert set(windows[:, 0].tolist()) == set(range(100, 200))


@pytest.mark.parametrize(("max_len", "overlap"), [(4, 1), (7, 2), (40, 5)])
def test_what_stands_before_a_window_comes_with_it(max_len: int, overlap: int) -> None:
    """The windows are those without their older items, which are all the older ones of their rows."""
    cut, rows = Cut(max_len=max_len, overlap=overlap, shift=2), padded([2, 6, 17, 41])
    alone = cut.windows(rows, np.random.default_rng(1))
    whole = replace(cut, keeps_older=True).windows(rows, np.random.default_rng(1))
    assert whole.shape[1] == 2 + WIDTH
    assert np.column_stack([whole[:, :2], whole[:, -max_len - 1 :]]).tolist() == alone.tolist()
    for window in whole:
        items = window[2:][window[2:] > 0].tolist()
        assert items == list(range(1, items[-1] + 1))
