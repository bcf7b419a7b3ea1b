"""The metrics of users with one target each, in a loop over them: 0 is a miss."""

import math
from collections.abc import Sequence

CUTOFFS = (1, 5, 10, 100)


def single_target_metrics(ranks: Sequence[int], cutoffs: Sequence[int] = CUTOFFS) -> dict[str, float]:
    """users, misses, rank100 and its share; ndcg, hit rate and reciprocal rank at the cutoffs, means over the users."""
    users = len(ranks)
    top = sum(1 <= rank <= 100 for rank in ranks)
    metrics = {"users": float(users), "misses": float(list(ranks).count(0)), "rank100": float(top), "rank100_share": top / users}
    for cutoff in cutoffs:
        hits = [rank for rank in ranks if 1 <= rank <= cutoff]
        metrics[f"ndcg@{cutoff}"] = sum(1 / math.log2(1 + rank) for rank in hits) / users
        metrics[f"hit_rate@{cutoff}"] = len(hits) / users
        metrics[f"mrr@{cutoff}"] = sum(1 / rank for rank in hits) / users
    return metrics
