"""Ranker samples: the candidates of users with features, labelled by what was held out.

    candidates ─┐
    valid      ─┴─> held_out_lists -> (described_lists.describe) -> label_rows

The features are as of before the held-out item, the candidates were proposed without it, and so a ranker learns on such lists as
it will rank. A user none of whose held-out items is among the candidates would have negatives alone, and is left out.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

PARTS = 10_000  # users are divided by a hash into so many parts


def held_out_lists(candidates: DataFrame, held_out: DataFrame) -> DataFrame:
    """user_id, items (candidates), _targets (item indices) and _hit: whether a target is among the candidates."""
    targets = held_out.select("user_id", F.col("targets").alias("_targets"))
    listed = candidates.join(targets, "user_id").select("user_id", "items", "_targets")
    indices = F.transform("items", lambda entry: entry["item_idx"])
    return listed.withColumn("_hit", F.arrays_overlap(indices, "_targets"))


def label_rows(rows: DataFrame, *, valid_share: float, seed: int) -> DataFrame:
    """Rows with label, 1 where the item is among the _targets, and split: valid for a share of the users, else train."""
    hashed = F.pmod(F.xxhash64(F.lit(seed), F.lit("ranker_samples"), "user_id"), F.lit(PARTS))
    split = F.when(hashed < round(valid_share * PARTS), "valid").otherwise("train")
    label = F.array_contains("_targets", F.col("item_idx")).cast("int")
    return rows.withColumns({"label": label, "split": split})
