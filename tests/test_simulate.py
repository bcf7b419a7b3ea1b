"""seqrec.simulate: the files it writes and the best NDCG@10 that it tells."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seqrec import simulate
from seqrec.errors import UserError
from seqrec.planted import gains, plant
from seqrec.simulate import Simulation

SIZES: dict[str, Any] = {"users": 300, "items": 130, "events": 3000, "successors": 4, "noise": 0.2, "taste": 0.3, "seed": 7}


def test_the_file_has_the_asked_numbers_of_rows_users_and_events(tmp_path: Path) -> None:
    simulate.write_ratings(tmp_path / "r.csv", Simulation(**SIZES))
    ratings = pd.read_csv(tmp_path / "r.csv")
    assert ratings.columns.tolist() == ["user_id", "item_id", "rating", "timestamp"]
    assert len(ratings) == 3000
    assert set(ratings.user_id) == set(range(1, 301))
    assert ratings.item_id.between(1, 130).all()
    assert set(ratings.rating) == {1, 2, 3, 4, 5}
    assert ratings.groupby("user_id").size().min() >= 5
    assert not ratings.duplicated(["user_id", "item_id"]).any()
    assert not ratings.duplicated(["user_id", "timestamp"]).any()


def test_the_told_values_are_those_of_the_histories_in_the_file(tmp_path: Path) -> None:
    known = simulate.write_ratings(tmp_path / "r.csv", Simulation(**SIZES))
    ratings = pd.read_csv(tmp_path / "r.csv")
    chain = plant(items=130, successors=4, noise=0.2, taste=0.3, seed=7)
    expected: dict[str, float] = defaultdict(float)
    drawn: dict[str, float] = defaultdict(float)
    for _, rows in ratings.sort_values("timestamp").groupby("user_id"):
        path = rows.item_id.to_numpy()[None, :] - 1
        for split, back in (("valid", 2), ("test", 1)):
            pair = gains(chain, path, np.array([path.shape[1] - back]))
            expected[split] += pair[0] / 300
            drawn[split] += pair[1] / 300
    assert known["best_ndcg@10"] == pytest.approx(dict(expected))
    assert known["drawn_ndcg@10"] == pytest.approx(dict(drawn))
    assert known["rarest_item_events"] == ratings.item_id.value_counts().reindex(range(1, 131), fill_value=0).min()
    assert json.loads((tmp_path / "r.json").read_text()) == known


def test_the_drawn_value_lies_near_the_expected_one(tmp_path: Path) -> None:
    known = simulate.write_ratings(tmp_path / "r.parquet", Simulation(**{**SIZES, "users": 6000, "events": 40_000}))
    error = 0.5 / np.sqrt(6000)  # the standard error is at most that of a share of one half
    for split in ("valid", "test"):
        assert 0.2 < known["best_ndcg@10"][split] < 1
        assert abs(known["drawn_ndcg@10"][split] - known["best_ndcg@10"][split]) < 3 * error


def test_a_seed_repeats_the_file_and_another_changes_it(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        simulate.write_ratings(tmp_path / f"{name}.csv", Simulation(**{**SIZES, "seed": seed}))
    one, two, three = ((tmp_path / f"{name}.csv").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_parquet_has_the_rows_of_csv(tmp_path: Path) -> None:
    for suffix in ("csv", "parquet"):
        simulate.write_ratings(tmp_path / f"r.{suffix}", Simulation(**SIZES))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "r.csv"), pd.read_parquet(tmp_path / "r.parquet"))


def test_titles_are_of_every_item_and_distinct(tmp_path: Path) -> None:
    simulate.write_titles(tmp_path / "t.csv", items=1000)
    titles = pd.read_csv(tmp_path / "t.csv")
    assert titles.item_id.tolist() == list(range(1, 1001))
    assert titles.title.is_unique
    assert titles.title[0] == "Action no. 1"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"events": 1000}, "at least 1 user and 5 events a user"),
        ({"users": 0, "events": 0}, "at least 1 user"),
        ({"successors": 20}, "--successors 20: from 1 to 19 of 130 items"),
        ({"noise": 0.0}, "--noise 0.0"),
        ({"taste": 0.9}, "--taste 0.9: from 0 to 0.8, as --noise is 0.2"),
        ({"events": 60_000}, "raise --items"),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        simulate.write_ratings(tmp_path / "r.csv", Simulation(**{**SIZES, **changed}))
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_prints_the_best_and_refuses_a_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--{name}={value}" for name, value in SIZES.items()]
    simulate.main([*given, f"--output={tmp_path}/r.csv", f"--titles={tmp_path}/t.csv"])
    known = json.loads((tmp_path / "r.json").read_text())
    assert f"expected at {known['best_ndcg@10']['test']:.4f}" in capsys.readouterr().out
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 131
    with pytest.raises(SystemExit, match=r"the suffix is \.txt, use \.csv or \.parquet"):
        simulate.main([*given, f"--output={tmp_path}/r.txt"])
