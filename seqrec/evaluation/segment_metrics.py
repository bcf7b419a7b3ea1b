"""Metrics of the groups of each segment: what the mean over all users hides."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.command.screen import aligned
from seqrec.evaluation.list_measures import LIST_MEASURES
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.segments import POPULARITY
from seqrec.evaluation.user_blocks import bootstrap, means, sum_blocks
from seqrec.evaluation.user_values import depth_of
from seqrec.evaluation.verdict import MEASURES

OF_RANKS = ("ndcg", "hit_rate")

GroupMetrics = dict[str, object]  # users, the metrics, and intervals: the lower and the upper end of each
SegmentMetrics = dict[str, dict[str, GroupMetrics]]  # by segment and group


def measure_segments(ranked: Ranked, values: DataFrame, segments: DataFrame, *, seed: int) -> SegmentMetrics:
    """Act: NDCG, hit rate and the measures of the lists for each group, those of the segment `popularity` without the latter.

    `values` are the method's (see `user_values`), `segments` the groups of the users (see `segments`).
    """
    depth = depth_of(ranked)
    ranks = F.when(F.col("kept").isNull(), F.col("ranks")).otherwise(F.filter("ranks", lambda _, i: F.get("kept", i)))
    of_users = ranked.table.select("user_id", "ranks").join(segments, "user_id").withColumn("ranks", ranks)
    accuracy = {name: MEASURES[name](depth) for name in OF_RANKS}
    joined = of_users.withColumns(accuracy).join(values.select("user_id", *LIST_MEASURES), "user_id")
    measured: SegmentMetrics = {}
    for (segment, _, group), sums in sum_blocks(joined, (*OF_RANKS, *LIST_MEASURES), keys=("segment", "place", "group")).items():
        kept = [name for name in means(sums) if segment != POPULARITY or name in OF_RANKS]
        figures, spans = means(sums), bootstrap(sums, seed=seed)
        metrics: GroupMetrics = {"users": int(sums.users[:, 0].sum())}
        metrics |= {f"{name}@{depth}": figures[name] for name in kept}
        metrics["intervals"] = {f"{name}@{depth}": spans[name] for name in kept}
        measured.setdefault(str(segment), {})[str(group)] = metrics
    return measured


def show_segments(results: Mapping[str, SegmentMetrics]) -> str:
    """A table for each segment: the NDCG of the methods in each group, with its interval; a dash where a method has no such user.

    >>> group = {"users": 5, "ndcg@10": 0.5, "intervals": {"ndcg@10": (0.25, 0.75)}}
    >>> print(show_segments({"sasrec": {"gender": {"F": group, "M": group}}, "markov": {"gender": {"F": group}}}))
    NDCG@10 by gender, with intervals of 95 % confidence
       users                  sasrec                  markov
    F      5  0.5000 (0.2500–0.7500)  0.5000 (0.2500–0.7500)
    M      5  0.5000 (0.2500–0.7500)                       -
    """
    tables = []
    for segment in dict.fromkeys(name for of_method in results.values() for name in of_method):
        of_methods = {method: of_method.get(segment, {}) for method, of_method in results.items()}
        groups = dict.fromkeys(group for of_method in of_methods.values() for group in of_method)
        rows = [["", "users", *of_methods]]
        for group in groups:
            cells = [of_method.get(group) for of_method in of_methods.values()]
            users = next(cell["users"] for cell in cells if cell is not None)
            rows.append([group, f"{users:,}", *("-" if cell is None else _ndcg(cell)[1] for cell in cells)])
        some = next(cell for of_method in of_methods.values() for cell in of_method.values())
        tables.append(f"{_ndcg(some)[0]} by {segment}, with intervals of 95 % confidence\n{aligned(rows)}")
    return "\n\n".join(tables)


def _ndcg(metrics: GroupMetrics) -> tuple[str, str]:
    """The name of the NDCG of a group, and its value with its interval."""
    name = next(name for name in metrics if name.startswith("ndcg@"))
    spans = metrics["intervals"]
    assert isinstance(spans, dict)
    low, high = spans[name]
    return name.upper(), f"{metrics[name]:.4f} ({low:.4f}–{high:.4f})"
