"""Items that a user never gets, such as what was returned or disliked: a table of user_id and item_id."""

import logging

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.tables import schemas
from seqrec.tables.datasets import Dataset
from seqrec.tables.id_lists import read_id_pairs

log = logging.getLogger("seqrec")

MANY = 20  # pairs: that the dataset has the user or the item of none of so many isn't chance, but ids of another kind


def hide_excluded(histories: DataFrame, dataset: Dataset, path: str, *, vocabulary: DataFrame, filter_seen: bool) -> DataFrame:
    """Act: histories (user_id, items, seen) whose `seen` has the excluded items of the user too or, if not filter_seen, alone.

    Items are those of the dataset, and those of the model's vocabulary (item_id, item_idx), which may be longer. Pairs with a
    user who isn't scored, or an item that neither has, are counted in the log, in a warning if all are. Raises UserError for a
    file without the columns user_id and item_id, for ids of another type than the dataset's, and for MANY pairs that all have
    users or items which neither has.
    """
    pairs = read_id_pairs(dataset.spark, path, {"user_id": dataset.user, "item_id": dataset.item})
    indices = dataset.items.select("item_id", "item_idx").union(vocabulary.select("item_id", "item_idx")).distinct()
    known = pairs.join(indices, "item_id").groupBy("user_id").agg(F.sort_array(F.collect_set("item_idx")).alias("excluded"))
    excluded = F.coalesce("excluded", F.array().cast(schemas.ITEM_INDICES))
    hidden = F.array_union("seen", excluded) if filter_seen else excluded
    joined = histories.join(known, "user_id", "left")
    total, items = pairs.count(), pairs.join(indices, "item_id", "left_semi").count()
    users = pairs.join(histories, "user_id", "left_semi").count()
    log.log(
        logging.WARNING if total and not (items and users) else logging.INFO,
        "exclude: %s pairs in %s; %s have an item that dataset and model lack, %s a user who isn't scored",
        *(f"{total:,}", path, f"{total - items:,}", f"{total - users:,}"),
    )
    if total >= MANY and not items:
        _refuse(path, pairs, indices, "item_id")
    if total >= MANY and not users and pairs.join(dataset.sequences, "user_id", "left_semi").isEmpty():
        _refuse(path, pairs, dataset.sequences, "user_id")
    return joined.withColumn("seen", hidden).drop("excluded")


def _refuse(path: str, pairs: DataFrame, known: DataFrame, name: str) -> None:
    """Act: raise UserError that shows ids of the pairs, and those that are known."""
    shown, others = (
        ", ".join(repr(row[name]) for row in table.select(name).distinct().orderBy(name).limit(3).collect())
        for table in (pairs, known)
    )
    raise UserError(
        f"exclude={path}: its {name}s ({shown}, …) are none of the dataset's ({others}, …): give pairs with these ids"
    )
