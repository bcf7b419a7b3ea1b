"""Means of users' values with their intervals, and paired comparisons, from sums over blocks of users.

    sums = sum_blocks(values, ["novelty"])      # Spark: a row for each of 1,024 blocks of users, by a hash of their ids
    means(sums), bootstrap(sums, seed=42)       # on the driver, whatever the number of users

Blocks are drawn in place of users, as in `intervals`; on average that gives the same interval. A value that is null or NaN
doesn't count: a mean is over the users who have one. Sums are of decimals, so they don't depend on the partitioning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from seqrec.evaluation.intervals import BLOCKS, Interval
from seqrec.evaluation.significance import randomisation_p
from seqrec.evaluation.verdict import CONFIDENCE, DRAWS, Comparison

EXACT = "decimal(30,12)"  # in which values are added


class Baseline(NamedTuple):
    """The name of the method that others are compared with, and how many items of the lists are."""

    name: str
    depth: int


@dataclass(frozen=True, kw_only=True)
class BlockSums:
    """Of B blocks of users: the sums of M values, and how many users have each."""

    names: list[str]  # M
    sums: NDArray[np.float64]  # (B, M)
    users: NDArray[np.int64]  # (B, M)

    def without_absent(self) -> "BlockSums":
        """Only those values that some user has."""
        there = np.flatnonzero(self.users.sum(axis=0) > 0)
        return BlockSums(names=[self.names[i] for i in there], sums=self.sums[:, there], users=self.users[:, there])


def sum_blocks(values: DataFrame, names: Sequence[str], *, keys: Sequence[str] = ()) -> dict[tuple[object, ...], BlockSums]:
    """Act: the sums of columns of a table (user_id, keys, columns), for each combination of the keys, in their order."""
    block = F.pmod(F.xxhash64("user_id"), F.lit(BLOCKS)).alias("block")
    kept = {name: F.nanvl(F.col(name).cast("double"), F.lit(None).cast("double")).cast(EXACT) for name in names}
    sums = [F.coalesce(F.sum(value).cast("double"), F.lit(0.0)).alias(f"sum_{name}") for name, value in kept.items()]
    numbers = [F.count(value).alias(f"users_{name}") for name, value in kept.items()]
    rows = values.groupBy(*keys, block).agg(*sums, *numbers).orderBy(*keys, "block").collect()
    of_keys: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        of_keys.setdefault(tuple(row[key] for key in keys), []).append(row)
    return {
        key: BlockSums(
            names=list(names),
            sums=np.array([[row[f"sum_{name}"] for name in names] for row in mine]),
            users=np.array([[row[f"users_{name}"] for name in names] for row in mine], dtype=np.int64),
        )
        for key, mine in of_keys.items()
    }


def means(sums: BlockSums) -> dict[str, float]:
    """The mean of each value over the users who have one.

    >>> two = BlockSums(names=["a", "b"], sums=np.array([[3.0, 0.0], [1.0, 0.0]]), users=np.array([[1, 0], [3, 0]]))
    >>> means(two)
    {'a': 1.0}
    """
    there = sums.without_absent()
    return dict(zip(there.names, (there.sums.sum(axis=0) / there.users.sum(axis=0)).tolist(), strict=True))


def bootstrap(sums: BlockSums, *, seed: int) -> dict[str, Interval]:
    """The interval of 95 % confidence of each mean: percentiles over DRAWS draws of as many blocks as there are."""
    there = sums.without_absent()
    low, high = _percentiles(there.sums, there.users, seed=seed)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(there.names)}


def compare_values(ours: DataFrame, theirs: DataFrame, names: Sequence[str], *, against: Baseline, seed: int) -> list[Comparison]:
    """Act: columns of two tables (key user_id) against each other, over the users who have a value in both."""
    pairs = [F.col(f"ours.{name}").isNotNull() & F.col(f"theirs.{name}").isNotNull() for name in names]
    columns: dict[str, Column] = {}
    for name, both in zip(names, pairs, strict=True):
        mine, other = F.col(f"ours.{name}"), F.col(f"theirs.{name}")
        columns |= {f"ours_{name}": F.when(both, mine), f"theirs_{name}": F.when(both, other)}
        columns |= {f"changed_{name}": F.when(both, (mine != other).cast("double"))}
    joined = ours.alias("ours").join(theirs.alias("theirs"), "user_id")
    table = joined.select("user_id", *(column.alias(name) for name, column in columns.items()))
    sums = sum_blocks(table, list(columns)).get(())
    return [] if sums is None else [one for name in names if (one := _compared(sums, name, against=against, seed=seed))]


def _compared(sums: BlockSums, name: str, *, against: Baseline, seed: int) -> Comparison | None:
    """The comparison by one value; None if no user has it in both tables."""
    mine, other, changed = (sums.names.index(f"{kind}_{name}") for kind in ("ours", "theirs", "changed"))
    users = int(sums.users[:, mine].sum())
    if not users:
        return None
    differences = sums.sums[:, [mine]] - sums.sums[:, [other]]  # (B, 1)
    low, high = _percentiles(differences, sums.users[:, [mine]], seed=seed)
    return Comparison(
        baseline=against.name,
        depth=against.depth,
        users=users,
        changed=round(float(sums.sums[:, changed].sum())),
        ours=float(sums.sums[:, mine].sum() / users),
        theirs=float(sums.sums[:, other].sum() / users),
        low=float(low[0]),
        high=float(high[0]),
        p=randomisation_p(differences[:, 0], np.ones(len(differences), np.int64), seed=seed),
        measure=name,
    )


def _percentiles(sums: NDArray[np.float64], users: NDArray[np.int64], *, seed: int) -> NDArray[np.float64]:
    """The lower and the upper end (2, M) of the means over draws of blocks; a draw without a user of a value doesn't count."""
    total = len(sums)
    draws = np.random.default_rng(seed).multinomial(total, np.full(total, 1 / total), size=DRAWS)  # (DRAWS, B)
    numbers = draws @ users
    drawn = np.divide(draws @ sums, numbers, out=np.full(numbers.shape, np.nan), where=numbers > 0)  # (DRAWS, M)
    ends: NDArray[np.float64] = np.nanpercentile(drawn, CONFIDENCE, axis=0)
    return ends
