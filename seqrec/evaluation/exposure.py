"""How often the items of the catalogue stand among the first of the lists: how many do at all, and how unequally often."""

from collections.abc import Sequence

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType


def measure_exposure(ranked: DataFrame, *, catalogue: int, k: int, known: DataFrame | None = None) -> dict[str, float]:
    """Act: coverage@k, the share of the catalogue that is among the first k of anybody's list, and gini@k, of all its items.

    `known` has the item_id of each item of the catalogue, without which others in the lists don't count; None: there are none.
    """
    entries = ranked.select(F.explode(F.slice("items", 1, k)).alias("item"))
    item = "item.item_id" if isinstance(entries.schema["item"].dataType, StructType) else "item"
    times = entries.select(F.col(item).alias("item")).groupBy("item").agg(F.count("*").alias("times"))
    times = times if known is None else times.join(known.select(F.col("item_id").alias("item")), "item", "left_semi")
    rows = times.groupBy("times").agg(F.count("*").alias("items")).orderBy("times").collect()
    levels, items = [row["times"] for row in rows], [row["items"] for row in rows]
    return {f"coverage@{k}": sum(items) / catalogue, f"gini@{k}": gini(levels, items, catalogue=catalogue)}


def gini(times: Sequence[int], items: Sequence[int], *, catalogue: int) -> float:
    """The Gini index of how often each item of the catalogue is shown: 0 if all are equally often, near 1 if one alone is.

    `items[i]` items are shown `times[i]` times, in ascending order; all others of the catalogue never are. With x_j in ascending
    order it is Σ_j (2j − n − 1) x_j / (n Σ_j x_j) (Gunawardana and Shani 2015); 0 if nothing is shown.

    >>> gini([5], [4], catalogue=4), gini([1, 3], [1, 1], catalogue=2), gini([7], [1], catalogue=4)
    (0.0, 0.25, 0.75)
    """
    numbers = np.array([max(0, catalogue - sum(items)), *items], np.float64)
    levels = np.array([0, *times], np.float64)
    total, shown = numbers.sum(), float(levels @ numbers)
    below = np.cumsum(numbers) - numbers
    return float((levels * numbers * (2 * below + numbers - total)).sum() / (total * shown)) if shown else 0.0
