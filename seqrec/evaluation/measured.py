"""What an evaluation found out: the metrics of each method, their intervals, the verdict and the compared pipelines."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from seqrec.command.bars import working_on
from seqrec.evaluation.baselines import BASELINES
from seqrec.evaluation.compared import compare_pipelines, require_comparable, show_compared, show_lists_compared
from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.intervals import Interval, measure_intervals
from seqrec.evaluation.list_measures import LIST_FAULTS, LIST_MEASURES, ItemFacts
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.report import Metrics, measure, measure_apart, short_names, show_metrics, without_repeated
from seqrec.evaluation.segment_metrics import SegmentMetrics, measure_segments, show_segments
from seqrec.evaluation.user_blocks import Baseline, bootstrap, compare_values, sum_blocks
from seqrec.evaluation.user_values import depth_of, list_metrics, measure_users
from seqrec.evaluation.verdict import Comparison, Verdict, compare, judge

T = TypeVar("T")
log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """What all methods are measured by; `segments` are groups of the users (see `segments`), None without any."""

    held_out: HeldOut
    facts: ItemFacts
    cutoffs: Sequence[int]
    seed: int
    segments: DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of each method by name: metrics, intervals, metrics of warm and cold targets and of segments, what it was made from.

    The first method is what the others stand beside; with a baseline beside it there is a verdict.
    """

    first: Ranked
    results: dict[str, Metrics]
    intervals: dict[str, dict[str, Interval]]
    apart: dict[str, dict[str, Metrics]]
    segments: dict[str, SegmentMetrics]
    sources: dict[str, dict[str, Any]]
    verdict: Verdict | None = None
    compared: Mapping[str, list[Comparison]] = field(default_factory=dict)

    def shown(self) -> str:
        """All of it for the screen; a model with a long name has it once, above the tables."""
        names = short_names(self.results)
        first = names[self.first.name]
        parts = [] if first == self.first.name else [f"{first}: {self.first.name}"]
        parts.append(show_metrics(_renamed(self.results, names), _renamed(self.intervals, names)))
        parts += [] if self.verdict is None else [self.verdict.sentence]
        if self.compared:
            lists = show_lists_compared(first, self.compared)
            parts += [show_compared(first, self.compared), *([lists] if lists else [])]
        parts += [
            f"{names[name]}, by whether the target has a training event\n{show_metrics(groups)}"
            for name, groups in self.apart.items()
            if groups
        ]
        parts += [show_segments(_renamed(self.segments, names))] if any(self.segments.values()) else []
        return "\n\n".join(parts)

    def content(self) -> dict[str, object]:
        """All of it for metrics.json."""
        content: dict[str, object] = {"metrics": self.results, "intervals": self.intervals}
        content |= {"warm_and_cold": self.apart} if any(self.apart.values()) else {}
        content |= {"verdict": asdict(self.verdict)} if self.verdict else {}
        of_pipelines = {name: [asdict(one) for one in comparisons] for name, comparisons in self.compared.items()}
        content |= {"segments": self.segments} if any(self.segments.values()) else {}
        return content | ({"compared": of_pipelines} if of_pipelines else {})


def _renamed(of_methods: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    return {names[method]: value for method, value in of_methods.items()}


def measure_methods(methods: Sequence[Ranked], measuring: Measuring) -> Measured:
    """Act: measure the methods one after another; there is at least one.

    Baselines beside a first method that is none give the verdict; methods with `compared` are compared with the first. Raises
    UserError, before any is measured, if they can't be (see `require_comparable`).
    """
    require_comparable(methods)
    if (subset := methods[0].subset) is not None:
        log.info("%s: all columns are of those users", subset)
    shared = measuring.held_out.dataset.spark.sparkContext.broadcast(measuring.facts)
    seed, cutoffs, catalogue = measuring.seed, list(measuring.cutoffs), len(measuring.facts.counts)
    results: dict[str, Metrics] = {}
    intervals: dict[str, dict[str, Interval]] = {}
    apart, segments, values = {}, {}, {}
    for ranked in methods:
        name = ranked.name
        working_on(f"ranking by {name}")
        ranked.table.persist(StorageLevel.DISK_ONLY)
        results[name] = measure(ranked, catalogue=catalogue, cutoffs=cutoffs)
        intervals[name] = measure_intervals(ranked, seed=seed, cutoffs=cutoffs)
        apart[name] = measure_apart(ranked, catalogue=catalogue, cutoffs=cutoffs)
        values[name] = measure_users(ranked, measuring.held_out, lambda: shared.value).persist(StorageLevel.DISK_ONLY)
        of_lists, spans = _measure_lists(ranked, values[name], seed=seed)
        results[name] |= of_lists
        intervals[name] |= spans
        if measuring.segments is not None:
            segments[name] = measure_segments(ranked, values[name], measuring.segments, seed=seed)
    _warn_of_faults(results)
    first, *others = methods
    baselines = [ranked for ranked in others if ranked.name in BASELINES and first.name not in BASELINES]
    comparisons = [compare(first, ranked, seed=seed) for ranked in baselines]
    compared = [ranked for ranked in others if ranked.compared]
    return Measured(
        first=first,
        results=without_repeated(results),
        intervals=intervals,
        apart=apart,
        segments=segments,
        sources={ranked.name: ranked.source for ranked in methods},
        verdict=judge(first.name, comparisons) if comparisons else None,
        compared=_compare_all(first, compared, values, seed=seed),
    )


def _measure_lists(ranked: Ranked, values: DataFrame, *, seed: int) -> tuple[Metrics, dict[str, Interval]]:
    """Act: the metrics of a method's lists, and the intervals of those that are means."""
    depth = depth_of(ranked)
    sums = sum_blocks(values, (*LIST_MEASURES, *LIST_FAULTS))[()]
    spans = bootstrap(sums, seed=seed)
    return list_metrics(sums, depth=depth), {f"{name}@{depth}": spans[name] for name in LIST_MEASURES if name in spans}


def _compare_all(
    first: Ranked, others: Sequence[Ranked], values: Mapping[str, DataFrame], *, seed: int
) -> dict[str, list[Comparison]]:
    """Act: each pipeline against the first method, by ranks and, where as many items of both are measured, by its lists."""
    compared = compare_pipelines(first, others, seed=seed)
    for other in others:
        if depth_of(other) == depth_of(first):
            against = Baseline(first.name, depth_of(first))
            compared[other.name] += compare_values(
                values[other.name], values[first.name], LIST_MEASURES, against=against, seed=seed
            )
    return compared


def _warn_of_faults(results: Mapping[str, Metrics]) -> None:
    """Warn of lists that no user should get."""
    words = {
        "repeated_items": "have an item twice",
        "seen_items": "have an item that the user had",
        "unknown_items": "have an item that the dataset lacks",
    }
    for method, metrics in results.items():
        for name, said in words.items():
            if metrics.get(name):
                log.warning("%s: the lists of %s users %s", method, f"{metrics[name]:,.0f}", said)
