"""The histories that users are scored by, of all users of a dataset or of a subset."""

import logging
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.tables import schemas
from seqrec.tables.datasets import Dataset
from seqrec.tables.id_lists import read_ids

log = logging.getLogger("seqrec")


@dataclass(frozen=True)
class Subset:
    """Some of the users: a cached table with their user_id, and how the settings name them."""

    users: DataFrame
    named: list[str] | str


def read_subset(dataset: Dataset, named: list[str] | str | None) -> Subset | None:
    """Act: the users of a list or file (see `read_ids`), with the dataset's type of ids; None stands for all users."""
    if named is None:
        return None
    return Subset(read_ids(dataset.spark, named, column="user_id", kind=dataset.user).persist(), named)


def select_histories(
    dataset: Dataset, *, history: str, users: DataFrame | None = None, further: DataFrame | None = None
) -> DataFrame:
    """Act: user_id, items and seen of a dataset's users, or of `users` alone; history is full, valid or test.

    `further` users (user_id) without any rating in the dataset are there with empty items and seen. Those who have ratings, but
    no target of valid or test, aren't: what they had would be unknown. Raises UserError if no user is left; a warning counts the
    users that are nowhere.
    """
    path = dataset.table("sequences" if history == "full" else history)
    histories = dataset.histories(history)
    if further is not None:
        empty = F.array().cast(schemas.ITEM_INDICES)
        unrated = further.join(dataset.sequences, "user_id", "left_anti")
        histories = histories.unionByName(unrated.select("user_id", empty.alias("items"), empty.alias("seen")))
        path = f"{path}, or in user_table without any rating"
    if users is not None:
        absent = users.join(histories, "user_id", "left_anti").count()
        if absent:
            log.warning("%d of the %d users asked for are not in %s", absent, users.count(), path)
        histories = histories.join(users, "user_id", "left_semi")
    if histories.isEmpty():
        raise UserError(f"{path} has no user to score{' among those of users=' if users is not None else ''}")
    return histories
