"""Items that a user never gets, such as what was returned or disliked: a table of user_id and item_id."""

import logging

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.tables import schemas
from seqrec.tables.datasets import Dataset
from seqrec.tables.id_lists import read_id_pairs

log = logging.getLogger("seqrec")


def hide_excluded(histories: DataFrame, dataset: Dataset, path: str, *, filter_seen: bool) -> DataFrame:
    """Act: histories (user_id, items, seen) whose `seen` has the excluded items of the user too or, if not filter_seen, alone.

    Pairs with a user or an item that the dataset doesn't have are counted in the log. Raises UserError for a file without the
    columns user_id and item_id, and for ids of another type than the dataset's.
    """
    pairs = read_id_pairs(dataset.spark, path, {"user_id": dataset.user, "item_id": dataset.item})
    indices = dataset.items.select("item_id", "item_idx")
    known = pairs.join(indices, "item_id").groupBy("user_id").agg(F.sort_array(F.collect_set("item_idx")).alias("excluded"))
    excluded = F.coalesce("excluded", F.array().cast(schemas.ITEM_INDICES))
    hidden = F.array_union("seen", excluded) if filter_seen else excluded
    joined = histories.join(known, "user_id", "left")
    total, items = pairs.count(), pairs.join(indices, "item_id", "left_semi").count()
    users = pairs.join(histories, "user_id", "left_semi").count()
    log.info(
        "exclude: %s pairs in %s; %s have an item that the dataset lacks, %s a user who isn't scored",
        *(f"{total:,}", path, f"{total - items:,}", f"{total - users:,}"),
    )
    return joined.withColumn("seen", hidden).drop("excluded")
