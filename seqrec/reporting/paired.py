"""Two evaluations of the same held-out users against each other, user by user, from the tables of save_predictions=true."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.evaluation.verdict import DEPTH, Comparison, UserGroups, compare_groups
from seqrec.metrics import MISS
from seqrec.ragged import Ragged
from seqrec.reporting.chain_versions import Version
from seqrec.reporting.table_rows import whole_table
from seqrec.serving.sorted_ids import SortedIds
from seqrec.storage import files

PREDICTIONS = "predictions"
LEVELS = 64  # of a value, by which users are grouped for the resampling
SEED = 42


class UserValues(NamedTuple):
    """Users and the NDCG@DEPTH (N,) of each."""

    users: pa.Array
    values: NDArray[np.float64]


def compare_evaluations(now: Version, before: Version) -> Comparison | None:
    """The paired difference in NDCG@10; None unless both have predictions for held-out items of the same dataset and split."""
    same = all(now.meta.get(key) == before.meta.get(key) for key in ("dataset", "split"))
    if not same or not all(PREDICTIONS in version.meta.get("tables", {}) for version in (now, before)):
        return None
    ours, theirs = (_read(files.join(version.path, PREDICTIONS)) for version in (now, before))
    places = SortedIds.of(theirs.users).find(ours.users)
    both = places.is_valid().to_numpy(zero_copy_only=False)
    if not both.any():
        return None
    groups = group_users(ours.values[both], theirs.values[places.drop_null().to_numpy()])
    return compare_groups(groups, baseline=before.run_id, depth=DEPTH, seed=SEED)


def _read(table: str) -> UserValues:
    """The users of a table of predictions and their values."""
    rows = whole_table(table, ["user_id", "ranks"]).combine_chunks()
    users, ranks = (rows[name].chunk(0) if rows.num_rows else pa.array([]) for name in ("user_id", "ranks"))
    return UserValues(users, user_ndcg(Ragged.of_arrow(ranks), DEPTH) if rows.num_rows else np.zeros(0))


def user_ndcg(ranks: Ragged, depth: int) -> NDArray[np.float64]:
    """The NDCG@depth (N,) of the ranks of each user's targets (see `metrics.metric_sums`); every user has a target.

    >>> user_ndcg(Ragged.of([[1], [3], [0], [2, 11]]), 10).round(4).tolist()
    [1.0, 0.5, 0.0, 0.3869]
    """
    hits = (ranks.values > MISS) & (ranks.values <= depth)
    gains = np.where(hits, 1 / np.log2(1 + np.maximum(ranks.values, 1)), 0.0)
    ideal = np.cumsum(1 / np.log2(1 + np.arange(1, depth + 1)))
    sums = np.bincount(ranks.rows, weights=gains, minlength=len(ranks))
    values: NDArray[np.float64] = sums / ideal[np.minimum(ranks.lengths, depth) - 1]
    return values


def group_users(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> UserGroups:
    """Users with nearly the same two values as groups, with the means of both.

    >>> groups = group_users(np.array([1.0, 1.0, 0.5]), np.array([0.5, 0.5, 0.5]))
    >>> groups.ours.tolist(), groups.theirs.tolist(), groups.users.tolist(), groups.changed.tolist()
    ([0.5, 1.0], [0.5, 0.5], [1, 2], [0, 2])
    """
    keys = np.rint(ours * LEVELS) * (LEVELS + 1) + np.rint(theirs * LEVELS)
    _, group, users = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(group, weights=values) for values in (ours, theirs, (ours != theirs).astype(float))]
    return UserGroups(sums[0] / users, sums[1] / users, users, np.rint(sums[2]).astype(np.int64))
