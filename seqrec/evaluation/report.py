"""From ranked tables to metrics: measured in Spark, shown as a table, written as JSON.

Everything is summed in Spark; the driver sees a histogram of ranks alone. A metric of ranks belongs in `seqrec.metrics`, one of a
list in `list_measures`, one of all lists together in `exposure`; all need a label in LABELS.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from pyspark.errors import PythonException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.command.screen import aligned
from seqrec.errors import UserError
from seqrec.evaluation.exposure import measure_exposure
from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.intervals import Interval
from seqrec.evaluation.list_measures import LIST_FAULTS
from seqrec.evaluation.ranked import Ranked, with_target_facts
from seqrec.evaluation.user_values import FIRST
from seqrec.metrics import CUTOFFS, MISS, RankCounts, metric_means, metric_sums
from seqrec.storage import files
from seqrec.tables import io, schemas

log = logging.getLogger("seqrec")

LABELS = {  # of metrics, by their whole name or by the part before the cutoff, in the order they are shown in
    "users": "users",
    "targets": "targets",
    "misses": "targets that are never recommended (misses)",
    "ndcg": "NDCG@",
    "hit_rate": "hit rate@",
    "recall": "recall@",
    "precision": "precision@",
    "map": "MAP@",
    "mrr": "MRR@",
    f"coverage@{FIRST}": f"coverage (catalogue in the first {FIRST})",
    f"gini@{FIRST}": f"Gini index of exposure in the first {FIRST}",
    f"novelty@{FIRST}": f"novelty of the first {FIRST} (bits)",
    f"popularity@{FIRST}": f"popularity of the first {FIRST} (events an item)",
    f"long_tail@{FIRST}": f"long tail (its share of the first {FIRST})",
    f"genre_diversity@{FIRST}": f"diversity of the first {FIRST} by genre",
    f"vector_diversity@{FIRST}": f"diversity of the first {FIRST} by vector",
    f"serendipity@{FIRST}": f"serendipity of the first {FIRST}",
    "short_lists": "users with a short list",
    "repeated_items": "users with an item twice",
    "seen_items": "users with an item that they had",
    "unknown_items": "users with an item that the dataset lacks",
}
SHOWN_CUTOFFS = {  # all others are in metrics.json alone
    "ndcg": (10, 20),
    "hit_rate": (1, 10, 20, 100),
    "recall": (10, 20, 100),
    "precision": (10,),
    "map": (10,),
    "mrr": (10,),
}
WITH_INTERVAL = ("ndcg@10", "hit_rate@10")  # of which the interval is shown; metrics.json has all
COUNTS = ("users", "targets", "misses", *LIST_FAULTS)  # shown as whole numbers
FAULTS = ("misses", *LIST_FAULTS)  # shown where there are any
LONG = 28  # letters from which a method's name doesn't fit above a column
SEVERAL = ("targets", "recall", "precision", "map")  # what says something new only where users have several targets
HIT_RATE = "hit rate = recall@"  # the label where they haven't

Metrics = dict[str, float]


def measure(ranked: Ranked, *, catalogue: int, cutoffs: Sequence[int] = CUTOFFS) -> Metrics:
    """Act: users, targets, misses and the metrics of a ranked table, means over all its users, misses included.

    If ranks come from lists, metrics with a cutoff beyond the lists' length are left out. `catalogue` is the number of items.
    Raises UserError for scores that aren't finite.
    """
    deepest = max(*cutoffs, max(CUTOFFS))
    depth = ranked.listed or deepest
    counts = _histogram(ranked, deepest + 1)
    measured = metric_means(metric_sums(counts, cutoffs=tuple(cutoff for cutoff in cutoffs if cutoff <= depth)))
    if depth < max(CUTOFFS):
        del measured["rank100"], measured["rank100_share"]
    if depth < FIRST:
        return measured
    return measured | measure_exposure(ranked.table, catalogue=catalogue, k=FIRST, known=ranked.catalogue)


def measure_apart(ranked: Ranked, *, catalogue: int, cutoffs: Sequence[int] = CUTOFFS) -> dict[str, Metrics]:
    """Act: the metrics of the targets with and without a training event, `warm` and `cold`; nothing where none is cold.

    A user counts with the targets of a group alone, and in the groups that have one.
    """
    if ranked.table.where(F.exists("cold", lambda cold: cold)).isEmpty():
        return {}
    apart = {}
    for name, is_cold in (("warm", False), ("cold", True)):
        table = ranked.table.withColumn("ranks", _ranks_of(is_cold=is_cold)).where(F.size("ranks") > 0)
        if not table.isEmpty():
            apart[name] = measure(replace(ranked, table=table), catalogue=catalogue, cutoffs=cutoffs)
    return without_repeated(apart)


def _ranks_of(*, is_cold: bool) -> Column:
    """The ranks of the targets with, or of those without a training event."""
    return F.filter("ranks", lambda _, i: F.get("cold", i) == is_cold)


def without_repeated(results: Mapping[str, Metrics]) -> dict[str, Metrics]:
    """The metrics of each method; where no user has several targets, without those that say what others say.

    With one target each the recall is the hit rate, the average precision the reciprocal rank.

    >>> without_repeated({"popularity": {"users": 3.0, "targets": 3.0, "hit_rate@5": 0.5, "recall@5": 0.5}})
    {'popularity': {'users': 3.0, 'hit_rate@5': 0.5}}
    """
    if any(metrics["targets"] > metrics["users"] for metrics in results.values()):
        return dict(results)
    return {
        method: {name: value for name, value in metrics.items() if _kind(name) not in SEVERAL}
        for method, metrics in results.items()
    }


def _histogram(ranked: Ranked, most: int) -> RankCounts:
    """Act: how many users have how many targets, and the target at each place which rank, none above `most`."""
    bounded = F.transform("ranks", lambda rank: F.when(rank == MISS, most + 1).otherwise(F.least(rank, F.lit(most))))
    ordered = ranked.table.select(F.size("ranks").alias("targets"), F.posexplode(F.sort_array(bounded)).alias("place", "rank"))
    try:
        rows = ordered.groupBy("targets", "place", "rank").agg(F.count("*").alias("users")).collect()
    except PythonException as error:
        if "not finite" not in str(error):
            raise
        raise UserError(f"{ranked.name} gives scores that aren't finite: train it again with a lower optimizer.lr") from None
    if not rows:
        raise UserError(f"{ranked.name} has a list for none of the held-out users: evaluate one made for users that it holds out")
    columns = ("targets", "place", "rank", "users")
    targets, places, ranks, users = np.array(sorted(tuple(row[name] for name in columns) for row in rows), dtype=np.int64).T
    return RankCounts(ranks=np.where(ranks > most, MISS, ranks), places=places + 1, targets=targets, users=users)


def write_metrics(metrics: Mapping[str, object], path: str) -> None:
    """Write PATH/metrics.json."""
    files.write_text(files.join(path, "metrics.json"), json.dumps(metrics, indent=2) + "\n")


def write_predictions(ranked: Ranked, held_out: HeldOut, path: str, *, k: int) -> None:
    """Act: write the table predictions of a method whose lists have original ids; a warning says if they are shorter than k."""
    dataset = held_out.dataset
    if ranked.listed is not None and ranked.listed < k:
        log.warning("predictions_k=%d: the lists of %s have at most %d items", k, ranked.name, ranked.listed)
    io.write_table(predictions(ranked.table, dataset.items, k=k), path, schemas.predictions(dataset.user, dataset.item))


def predictions(ranked: DataFrame, items: DataFrame, *, k: int) -> DataFrame:
    """The table predictions: a ranked table with its targets' original ids and the first k of each list."""
    ids = items.select(F.col("item_idx").alias("target"), "item_id")
    best = F.slice("items", 1, k).cast(ranked.schema["items"].dataType)
    named = with_target_facts(ranked, ids)
    return named.select("user_id", F.col("facts.item_id").alias("targets"), "ranks", best.alias("items"))


def show_metrics(results: Mapping[str, Metrics], intervals: Mapping[str, Mapping[str, Interval]] | None = None) -> str:
    """The main metrics as lines, one column a method; a dash where a method doesn't have one.

    If none of a metric's cutoffs is a main one, all of them are shown; FAULTS are shown where there are any. Below those of
    WITH_INTERVAL stands their interval.

    >>> results = {"popularity": {"users": 3.0, "ndcg@10": 0.5}, "markov": {"users": 3.0}}
    >>> print(show_metrics(results, {"popularity": {"ndcg@10": (0.25, 0.75)}}))
                        popularity  markov
    users                        3       3
    NDCG@10                 0.5000       -
      95 % interval  0.2500–0.7500       -
    """
    rows = [["", *results]]
    for name, label in labelled_metrics(results).items():
        rows.append([label, *(shown_number(name, metrics.get(name)) for metrics in results.values())])
        if name in WITH_INTERVAL and intervals:
            rows.append(["  95 % interval", *(_span(intervals.get(method, {}).get(name)) for method in results)])
    return aligned(rows)


def short_names(results: Mapping[str, object]) -> dict[str, str]:
    """What methods are called in tables: the first one, if its name is long, `the model`; others that are long are cut.

    >>> short_names({"sasrec-ce-d128-l50-h4-ffn2-posrope": 1, "markov": 2})
    {'sasrec-ce-d128-l50-h4-ffn2-posrope': 'the model', 'markov': 'markov'}
    """
    return {
        name: name if len(name) <= LONG else "the model" if place == 0 else f"{name[: LONG - 1]}…"
        for place, name in enumerate(results)
    }


def labelled_metrics(results: Mapping[str, Metrics]) -> dict[str, str]:
    """The names of the metrics that are shown of these methods, in their order, and what each is called.

    >>> labelled_metrics({"popularity": {"users": 3.0, "ndcg@10": 0.5, "ndcg@50": 0.6}})
    {'users': 'users', 'ndcg@10': 'NDCG@10'}
    """
    kinds = list(LABELS)
    names = sorted(_main_names(results), key=lambda name: (kinds.index(_kind(name)), int(name.partition("@")[2] or 0)))
    several = any(_kind(name) == "recall" for name in names)
    labelled = LABELS if several else LABELS | {"hit_rate": HIT_RATE}
    return {name: labelled[_kind(name)] + ("" if name in LABELS else name.partition("@")[2]) for name in names}


def _main_names(results: Mapping[str, Metrics]) -> set[str]:
    """The names of the metrics that are shown."""
    measured = {name for metrics in results.values() for name in metrics if _kind(name) in LABELS}
    hidden = {name for name in FAULTS if not any(metrics.get(name) for metrics in results.values())}
    for kind, cutoffs in SHOWN_CUTOFFS.items():
        of_kind = {name for name in measured if _kind(name) == kind}
        main = of_kind & {f"{kind}@{cutoff}" for cutoff in cutoffs}
        hidden |= of_kind - main if main else set()
    return measured - hidden


def _kind(name: str) -> str:
    """The key of a metric's label.

    >>> _kind("ndcg@10"), _kind("coverage@10"), _kind("users")
    ('ndcg', 'coverage@10', 'users')
    """
    return name if name in LABELS else name.partition("@")[0]


def shown_number(name: str, value: float | None) -> str:
    """A metric's value as it is shown."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if name in COUNTS else f"{value:,.1f}" if name.startswith("popularity@") else f"{value:.4f}"


def _span(interval: Interval | None) -> str:
    """An interval as it is shown."""
    return "-" if interval is None else "–".join(f"{value:.4f}" for value in interval)
