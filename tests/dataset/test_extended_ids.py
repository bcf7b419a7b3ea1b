"""Ids of ratings that extend a vocabulary of integers: those that aren't the same there are refused."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from seqrec.dataset.build_sequences import InputLimits, Ratings, ingest
from seqrec.dataset.profile import WantedTypes
from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable, RatingColumns


def read(spark: SparkSession, folder: Path, items: list[str], *, extends: bool = True) -> Ratings:
    """Ratings of these items, by a vocabulary of integers."""
    rows = "".join(f"{user},{item},4,{978300760 + user}\n" for user, item in enumerate(items))
    (folder / "r.csv").write_text(f"user_id,item_id,rating,timestamp\n{rows}")
    limits = InputLimits(bad_share=0.1, user_events=100, integers_of="/data/older" if extends else None)
    table = InputTable(key="input", path=str(folder / "r.csv"), format="csv")
    return ingest(spark, table, RatingColumns(), wanted=WantedTypes(item="bigint"), limits=limits)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["7", "007", "8"], r"1 of 3 rows have item ids that lose something as integers, .*input.id_type=bigint reads 007 as 7"),
        (
            ["7", "A16", "8"],
            r"1 of 3 rows have item ids that are no integers, such as 'A16', and those of vocabulary=/data/older",
        ),
    ],
)
def test_items_that_would_become_others_are_refused(spark: SparkSession, tmp_path: Path, items: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(spark, tmp_path, items)


def test_items_that_stay_what_they_are_pass(spark: SparkSession, tmp_path: Path) -> None:
    assert read(spark, tmp_path, ["7", "8.0", "9"]).profile.usable == 3
    assert read(spark, tmp_path, ["7", "007", "8"], extends=False).profile.usable == 3  # where input.id_type says so
    assert read(spark, tmp_path, [*map(str, range(19)), "A16"]).profile.usable == 19  # a dirty cell is left out and counted
