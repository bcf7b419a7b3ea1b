"""How much of exact lists a search finds."""

from pyspark.sql import DataFrame, SparkSession

from seqrec.evaluation.milvus_recall import recall_of


def lists(spark: SparkSession, items: dict[int, str]) -> DataFrame:
    """A letter an item, the first is the best."""
    rows = [(user, [(item, 1.0) for item in text]) for user, text in items.items()]
    return spark.createDataFrame(rows, "user_id bigint, items array<struct<item_id: string, score: float>>")


def test_recall_is_the_mean_share_of_the_exact_list(spark: SparkSession) -> None:
    """User 1 has all of three, 2 one of two, 3 none of one; 4 has no exact items, 5 no search, 6 no exact list."""
    exact = lists(spark, {1: "abc", 2: "ab", 3: "a", 4: "", 5: "a"})
    found = lists(spark, {1: "bca", 2: "ac", 3: "", 4: "a", 6: "a"})
    assert recall_of(found, exact, top_k=3) == {"users": 3.0, "recall@3": 0.5}


def test_the_first_ten_places_count_apart(spark: SparkSession) -> None:
    """The eleventh item is found first: it counts among all eleven alone, where the tenth is missing."""
    recall = recall_of(lists(spark, {1: "kabcdefghi"}), lists(spark, {1: "abcdefghijk"}), top_k=11)
    assert recall == {"users": 1.0, "recall@10": 0.9, "recall@11": 10 / 11}


def test_nobody_was_searched_for(spark: SparkSession) -> None:
    assert recall_of(lists(spark, {1: "a"}), lists(spark, {2: "a"}), top_k=3) == {"users": 0.0}
