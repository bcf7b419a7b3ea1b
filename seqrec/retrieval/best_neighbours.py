"""From scores of pairs of items to lists."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def best_neighbours(scores: DataFrame, *, items: DataFrame, top_n: int) -> DataFrame:
    """item_id, items: the top_n neighbours of each item that has any, by score (a float) descending, then item_id.

    Scores have item_idx, neighbour and score; partitioned by item_idx they aren't shuffled. Items map item_idx to item_id.
    """
    ids = items.select("item_idx", "item_id")
    named = scores.join(ids.select(F.col("item_idx").alias("neighbour"), F.col("item_id").alias("other")), "neighbour")
    entry = F.struct((-F.col("score").cast("float")).alias("less"), F.col("other").alias("item_id"))
    lists = named.groupBy("item_idx").agg(F.slice(F.sort_array(F.collect_list(entry)), 1, top_n).alias("entries"))
    best = F.transform("entries", lambda one: F.struct(one.item_id.alias("item_id"), (-one.less).alias("score")))
    return lists.join(ids, "item_idx").select("item_id", best.alias("items"))
