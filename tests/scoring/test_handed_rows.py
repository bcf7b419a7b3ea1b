"""What batch_recommend's plan hands to Spark's workers becomes the rows that a loop makes of the tables."""

from pathlib import Path
from typing import cast

import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.scoring import two_stage as scoring
from seqrec.scoring.lists import ListTask
from seqrec.scoring.ranked_lists import RankTask
from seqrec.serving.candidate_rows import candidate_rows
from seqrec.tables.datasets import open_dataset
from seqrec.tables.histories import select_histories
from tests import two_stage


def test_the_rows_of_each_user_are_those_of_a_loop(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_stage.write_dataset(tmp_path / "data")
    two_stage.write_ranker(tmp_path / "ranker")
    two_stage.write_candidates(tmp_path / "candidates", history="valid")
    two_stage.write_features(tmp_path / "features", history="valid")
    dataset = open_dataset(spark, f"{tmp_path}/data")
    folders = {name: f"{tmp_path}/{name}" for name in ("ranker", "candidates", "features")}
    second = scoring.open_second_stage(dataset, scoring.SecondStageFolders(**folders), history="valid", top_k=5)
    tasks: list[RankTask] = []

    def hand(users: DataFrame, *, task: RankTask) -> DataFrame:
        tasks.append(task)
        return users

    monkeypatch.setattr(scoring, "rank_candidates", hand)
    users = scoring.rank_users_twice(
        select_histories(dataset, history="valid"), second, fallback=cast(ListTask, None), kept=scoring.Kept()
    )
    handed = users.toArrow()
    of_workers, columns, compared = tasks[0].opened(), two_stage.ENCODING.names, []
    for batch in handed.filter(pc.is_valid(handed["items"])).combine_chunks().to_batches():
        for place, user in enumerate(batch.column("user_id").to_pylist()):
            rows = candidate_rows(batch.slice(place, 1), of_workers.features, of_workers.sources).to_pylist()
            for row, expected in zip(rows, two_stage.described_rows(user), strict=True):
                assert {name: row[name] for name in columns} == {name: expected[name] for name in columns}
                compared.append(user)
    assert len({*compared}) == 10, "two users have no candidates"
