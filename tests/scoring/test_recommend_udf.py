"""The column function `recommend_udf`, from the DataFrame API and from SQL, with the model whose query is the history's sum."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pyspark.serializers import CloudPickleSerializer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.scoring.lists import ListSettings, ListTask, recommend_batches
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import recommend_udf, recommend_users
from seqrec.serving.exports import locate
from tests.scoring.folders import write_training
from tests.scoring.test_udf import COUNTS, HISTORY, IDS, MATRIX
from tests.scoring.toy import write_model

ZIPPED = "arrays_zip(lists.item_id, lists.score) AS items"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An export of six items, a to f, of which f was never seen in training."""
    folder = tmp_path_factory.mktemp("column") / "toy"
    write_model(folder, MATRIX, IDS, COUNTS)
    return str(folder)


def histories(spark: SparkSession, rows: list[Any]) -> DataFrame:
    return spark.createDataFrame(rows, HISTORY)


def test_lists_in_the_dataframe_api_are_those_computed_by_hand(spark: SparkSession, model: str) -> None:
    rows = [(1, [2], [2]), (2, [4, 5], [4, 5, 6]), (3, [], []), (4, None, [2, 5]), (5, [99, 1, 0], None)]
    recommend = recommend_udf(model, top_k=4)
    found = histories(spark, rows).select("user_id", recommend("items", F.col("seen")).alias("lists"))
    assert found.schema["lists"].dataType.simpleString() == "struct<item_id:array<string>,score:array<float>,source:string>"
    assert {row["user_id"]: tuple(row["lists"]) for row in found.collect()} == {
        1: (["b", "e", "c", "d"], [2.0, 1.0, 0.0, 0.0], "model"),
        2: (["a", "b"], [0.0, 0.0], "model"),
        3: (["a", "c", "d", "b"], [9.0, 7.0, 7.0, 2.0], "popular"),
        4: (["c", "b", "e"], [7.0, 2.0, 1.0], "popular"),
        5: (["a", "c", "d", "b"], [9.0, 7.0, 7.0, 2.0], "popular"),
    }


def test_sql_gives_the_lists_of_the_table(spark: SparkSession, tmp_path: Path) -> None:
    """Bit by bit those of `recommend_users`, embeddings too, with whole numbers as ids; from MODEL and from an export of it."""
    random = np.random.default_rng(7)
    write_model(tmp_path / "toy", random.standard_normal((302, 16)).astype(np.float32), list(range(1000, 1300)), [1] * 300)
    rows = [random.integers(2, 310, size).tolist() for size in random.integers(0, 60, 200)]
    table = histories(spark, [(user, items, sorted(set(items))) for user, items in enumerate(rows)])
    table.repartition(3).createOrReplaceTempView("histories")
    spark.udf.register("recommend", recommend_udf(str(tmp_path / "toy"), top_k=20, embeddings=True))
    found = spark.sql("SELECT user_id, recommend(items, seen, user_id) AS lists FROM histories")
    spread = found.selectExpr("user_id", ZIPPED, "lists.source", "lists.embedding")
    shipped = ship(spark, locate(str(tmp_path / "toy")))
    expected = recommend_users(table, model=shipped, lists=ListSettings(top_k=20), embeddings=True)
    assert spread.schema.simpleString() == expected.schema.simpleString()
    assert sorted(spread.collect()) == sorted(expected.collect())


def test_no_field_nor_filter_scores_a_user_twice(spark: SparkSession, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Spark pushes a filter on what a deterministic function gives below it, where it's evaluated for the filter alone."""
    recommend = recommend_udf(model, top_k=2, embeddings=True)
    table = histories(spark, [(1, [2], [2]), (2, [], [])])

    def evaluations(function: Any, where: str) -> int:
        lists = table.select("user_id", function("items", "seen").alias("lists"))
        fields = lists.selectExpr("user_id", ZIPPED, "lists.source", "lists.embedding").where(where)
        fields.explain()
        assert [row["user_id"] for row in fields.where("source = 'model'").collect()] == [1]
        return capsys.readouterr().out.count("ArrowEvalPython")

    assert evaluations(recommend, "true") == 1
    assert evaluations(recommend, "source = 'model'") == 2
    assert evaluations(cast(Any, recommend).asNondeterministic(), "source = 'model'") == 1


def test_what_may_be_recommended_is_set_as_in_the_job(spark: SparkSession, model: str, tmp_path: Path) -> None:
    (tmp_path / "deny.txt").write_text("b\n")
    rows, denied = histories(spark, [(1, [2], [2])]), str(tmp_path / "deny.txt")
    for recommend, items in (
        (recommend_udf(model, 2, deny=denied), ["e", "c"]),
        (recommend_udf(model, 2, filter_seen=False), ["b", "a"]),
        (recommend_udf(model, 10**4, allow=denied), ["b"]),
    ):
        assert rows.select(recommend("items", "seen")["item_id"]).collect()[0][0] == items


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("recommend(items)", r"1 columns are given: the function is called as recommend\(items, seen\)"),
        ("recommend(user_id, seen)", "a value of items is 1: items has to be an array of whole numbers without nulls"),
        ("recommend(transform(items, i -> string(i)), seen)", r"a value of items is \['2'\]: items has to be an array"),
        ("recommend(items, array(1, null))", r"a value of seen is \[ 1. nan\]: seen has to be an array"),
        ("recommend(items, seen, string(user_id))", "user_id is a column of string: the model's users are bigint, without nulls"),
        ("recommend(items, seen, nullif(user_id, 1))", "user_id is a column of double with nulls: the model's users are bigint"),
    ],
)
def test_columns_of_other_types_end_the_query(spark: SparkSession, model: str, call: str, said: str) -> None:
    spark.udf.register("recommend", recommend_udf(model))
    histories(spark, [(1, [2], [2])]).createOrReplaceTempView("histories")
    with pytest.raises(Exception, match=said):
        spark.sql(f"SELECT {call} FROM histories").collect()


def test_what_is_no_model_is_refused_before_any_query(spark: SparkSession, model: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none holds no exported model: run export_onnx model=.*none first"):
        recommend_udf(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"training holds no exported model: run export_onnx"):
        recommend_udf(write_training(tmp_path / "training"))
    with pytest.raises(UserError, match="top_k=0: a list has 1 to 10,000 items"):
        recommend_udf(model, 0)


def test_workers_load_no_kinds_of_meta_json_nor_pandas_where_it_isn_t_needed(spark: SparkSession, model: str) -> None:
    """Each would make a worker's start longer by a quarter of a second."""
    shipped, load = ship(spark, locate(model)), "import sys, pickle; pickle.load(sys.stdin.buffer); print(*sys.modules)"
    task = ListTask(model=shipped, lists=ListSettings(top_k=1))
    functions: dict[str, Any] = {"arrow": partial(recommend_batches, task=task), "pandas": cast(Any, recommend_udf(model)).func}
    loaded, dumps = {}, cast(Any, CloudPickleSerializer)().dumps
    for name, function in functions.items():
        done = subprocess.run([sys.executable, "-c", load], input=dumps(function), capture_output=True, check=True)
        loaded[name] = set(done.stdout.decode().split())
    assert "seqrec.scoring.lists" in loaded["arrow"] & loaded["pandas"]
    assert not {"seqrec.storage.metadata", "seqrec.scoring.udf"} & (loaded["arrow"] | loaded["pandas"])
    assert "pandas" in loaded["pandas"] - loaded["arrow"]
