"""What an evaluation found out: the metrics of each method, their intervals, the verdict and the compared pipelines."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pyspark import StorageLevel

from seqrec.command.bars import working_on
from seqrec.evaluation.baselines import BASELINES
from seqrec.evaluation.compared import compare_pipelines, require_comparable, show_compared
from seqrec.evaluation.intervals import Interval, measure_intervals
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.report import Metrics, measure, measure_apart, show_metrics, without_repeated
from seqrec.evaluation.verdict import Comparison, Verdict, compare, judge


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of each method by name: metrics, intervals, metrics of warm and cold targets apart, what it was made from.

    The first method is what the others stand beside; with a baseline beside it there is a verdict.
    """

    first: Ranked
    results: dict[str, Metrics]
    intervals: dict[str, dict[str, Interval]]
    apart: dict[str, dict[str, Metrics]]
    sources: dict[str, dict[str, Any]]
    verdict: Verdict | None = None
    compared: Mapping[str, list[Comparison]] = field(default_factory=dict)

    def shown(self) -> str:
        """All of it for the screen."""
        parts = [show_metrics(self.results, self.intervals)]
        parts += [] if self.verdict is None else [self.verdict.sentence]
        parts += [show_compared(self.first.name, self.compared)] if self.compared else []
        parts += [
            f"{name}, by whether the target has a training event\n{show_metrics(groups)}"
            for name, groups in self.apart.items()
            if groups
        ]
        return "\n\n".join(parts)

    def content(self) -> dict[str, object]:
        """All of it for metrics.json."""
        content: dict[str, object] = {"metrics": self.results, "intervals": self.intervals}
        content |= {"warm_and_cold": self.apart} if any(self.apart.values()) else {}
        content |= {"verdict": asdict(self.verdict)} if self.verdict else {}
        of_pipelines = {name: [asdict(one) for one in comparisons] for name, comparisons in self.compared.items()}
        return content | ({"compared": of_pipelines} if of_pipelines else {})


def measure_methods(methods: Iterable[Ranked], *, catalogue: int, cutoffs: list[int], seed: int) -> Measured:
    """Act: measure the methods one after another; `catalogue` is the number of items. There is at least one method.

    Baselines beside a first method that is none give the verdict; methods with `compared` are compared with the first. Raises
    UserError, before any is measured, if they can't be (see `require_comparable`).
    """
    ranked_all = list(methods)
    require_comparable(ranked_all)
    results, intervals, apart = {}, {}, {}
    for ranked in ranked_all:
        working_on(f"ranking by {ranked.name}")
        ranked.table.persist(StorageLevel.DISK_ONLY)
        results[ranked.name] = measure(ranked, catalogue=catalogue, cutoffs=cutoffs)
        intervals[ranked.name] = measure_intervals(ranked, seed=seed, cutoffs=cutoffs)
        apart[ranked.name] = measure_apart(ranked, catalogue=catalogue, cutoffs=cutoffs)
    first, *others = ranked_all
    baselines = [ranked for ranked in others if ranked.name in BASELINES and first.name not in BASELINES]
    comparisons = [compare(first, ranked, seed=seed) for ranked in baselines]
    return Measured(
        first=first,
        results=without_repeated(results),
        intervals=intervals,
        apart=apart,
        sources={ranked.name: ranked.source for ranked in ranked_all},
        verdict=judge(first.name, comparisons) if comparisons else None,
        compared=compare_pipelines(first, [ranked for ranked in others if ranked.compared], seed=seed),
    )
