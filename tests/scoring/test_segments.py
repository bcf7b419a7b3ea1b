"""Tables of users by hand, of their segments and of what is excluded: who gets a list, and of which tables nothing comes."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StringType

from seqrec.errors import UserError
from seqrec.scoring.exclusions import hide_excluded
from seqrec.scoring.segments import SegmentFile, count_by_segment, open_segments
from seqrec.storage import versions
from seqrec.tables import io, schemas
from seqrec.tables.datasets import Dataset, open_dataset
from seqrec.tables.histories import select_histories
from tests.metas import dataset_meta

RUN_ID = "20260101T000000Z-0001"
LONG, TEXT = LongType(), StringType()


@pytest.fixture(scope="module")
def dataset(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Users 1 and 2 have items 2 and 3, and user 1 a target of test; user 3 has nothing that was trained on."""
    folder = tmp_path_factory.mktemp("segments")
    event = (None, 0, 0)
    tables = {
        "items": ([("a", 2, 2), ("b", 3, 1)], schemas.items(TEXT)),
        "sequences": ([(1, [2], [0], [2]), (2, [2, 3], [0, 0], [2, 3]), (3, [3], [0], [3])], schemas.sequences(LONG)),
        "test": ([(1, [2], [2], [3])], schemas.held_out(LONG)),
        "events": (
            [(1, 2, *event, "train"), (2, 2, *event, "train"), (2, 3, *event, "train"), (3, 3, *event, "test")],
            schemas.events(LONG),
        ),
    }
    for name, (rows, schema) in tables.items():
        io.write_table(spark.createDataFrame(rows, schema), f"{folder}/{RUN_ID}/{name}", schema)
    versions.write_meta(f"{folder}/{RUN_ID}", dataset_meta(RUN_ID, size=2))
    versions.commit(str(folder), RUN_ID, keep=1)
    return open_dataset(spark, str(folder))


def test_users_without_any_rating_have_an_empty_history(dataset: Dataset) -> None:
    further = dataset.spark.createDataFrame([(1,), (2,), (100,), (101,)], "user_id long")
    some = dataset.spark.createDataFrame([(1,), (100,)], "user_id long")

    def selected(history: str, **given: object) -> dict[int, tuple[list[int], list[int]]]:
        rows = select_histories(dataset, history=history, further=further, **given).collect()  # type: ignore[arg-type]
        return {user: (items, seen) for user, items, seen in rows}

    unrated: dict[int, tuple[list[int], list[int]]] = {100: ([], []), 101: ([], [])}
    assert selected("full") == {1: ([2], [2]), 2: ([2, 3], [2, 3]), 3: ([3], [3]), **unrated}
    assert selected("test") == {1: ([2], [2]), **unrated}
    assert selected("test", users=some) == {1: ([2], [2]), 100: ([], [])}


def test_the_events_of_a_segment_are_counted(dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "users.csv"
    path.write_text("user_id,country\n1,FR\n2,DE\n3,IT\n100,FR\n")
    with caplog.at_level("INFO"):
        counts = count_by_segment(dataset, open_segments(dataset, SegmentFile(path=str(path), column="country")))
    assert {name: items.tolist() for name, items in counts.items.items()} == {"DE": [2, 3], "FR": [2]}
    assert {name: events.tolist() for name, events in counts.counts.items()} == {"DE": [1, 1], "FR": [1]}
    assert "3 of them have ratings in the dataset" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    path.write_text("user_id,country\n1,FR\n100,FR\n101,FR\n")
    open_segments(dataset, SegmentFile(path=str(path), column="country"))
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert warning.endswith("1 of them have ratings in the dataset")


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ("3,FR\n100,DE\n1,\n", "no user with a segment has a training event: popular_by has no effect"),
        ("100,FR\n101,DE\n", r"its ids \(100, 101, …\) are none of the dataset's users \(1, 2, 3, …\): set user_key=COLUMN"),
    ],
)
def test_a_table_that_makes_no_segment_popular_is_refused(dataset: Dataset, tmp_path: Path, users: str, message: str) -> None:
    path = tmp_path / "users.csv"
    path.write_text(f"user_id,country\n{users}")
    with pytest.raises(UserError, match=message):
        count_by_segment(dataset, open_segments(dataset, SegmentFile(path=str(path), column="country")))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [(1, f"x{number:02}") for number in range(20)],
            r"its item_ids \('x00', 'x01', .* are none of .* \('a', 'b', …\)",
        ),
        ([(user, "a") for user in range(100, 120)], r"its user_ids \(100, 101, 102, …\) are none of .* \(1, 2, 3, …\)"),
    ],
)
def test_many_excluded_pairs_of_other_ids_are_refused(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture, pairs: list[tuple[int, str]], message: str
) -> None:
    path = tmp_path / "returned.csv"

    def hide(some: list[tuple[int, str]]) -> list[tuple[object, ...]]:
        path.write_text("user_id,item_id\n" + "".join(f"{user},{item}\n" for user, item in some))
        hidden = hide_excluded(dataset.histories("test"), dataset, str(path), vocabulary=dataset.items, filter_seen=True)
        return [tuple(row) for row in hidden.collect()]

    assert hide(pairs[1:]) == [(1, [2], [2])]
    assert "WARNING" in {record.levelname for record in caplog.records}
    with pytest.raises(UserError, match=message):
        hide(pairs)


def test_items_that_the_model_alone_knows_are_hidden_too(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "returned.csv"
    path.write_text("user_id,item_id\n1,later\n1,nowhere\n")
    vocabulary = dataset.spark.createDataFrame([("later", 99)], "item_id string, item_idx int")
    (row,) = hide_excluded(dataset.histories("test"), dataset, str(path), vocabulary=vocabulary, filter_seen=True).collect()
    assert row["seen"] == [2, 99]
