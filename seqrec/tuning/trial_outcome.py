"""What became of a trial, and which of a study's trials is the best."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

METRICS_FILE = "metrics.json"  # of a trial: its metrics


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended: with metrics; stopped, because others were better; or with an error."""

    state: Literal["complete", "pruned", "failed"]
    value: float | None  # of the study's metric; of a pruned trial the best that it reached
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None

    @classmethod
    def of_metrics(cls, metrics: dict[str, float], *, metric: str, seconds: float) -> "Outcome":
        """A trial that came to its end; failed if the metric is absent or isn't finite."""
        value = metrics.get(metric)
        if value is None or not math.isfinite(value):
            said = f"no {metric} of valid" if value is None else f"{metric} isn't finite"
            return cls(state="failed", value=None, metrics=metrics, seconds=seconds, error=said)
        return cls(state="complete", value=value, metrics=metrics, seconds=seconds)

    def content(self) -> dict[str, Any]:
        """The plain values, for a file."""
        return asdict(self)

    @classmethod
    def of_content(cls, content: dict[str, Any] | None) -> "Outcome | None":
        """What `content` made; None of None."""
        return None if content is None else cls(**content)


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial of a study: its values by dotted key, and what became of it; None while it runs."""

    number: int
    values: dict[str, Any]
    outcome: Outcome | None

    @property
    def state(self) -> str:
        """How it ended, or `running`."""
        return "running" if self.outcome is None else self.outcome.state

    @property
    def reached(self) -> float | None:
        """The study's metric."""
        return None if self.outcome is None else self.outcome.value


def in_rank(rows: Sequence[TrialRow], *, lower: bool) -> list[TrialRow]:
    """The trials, best first: complete ones by the metric, ties by number; then pruned, failed and running ones by number."""
    sign = 1 if lower else -1

    def place(row: TrialRow) -> tuple[int, float, int]:
        states = ("complete", "pruned", "failed", "running")
        return states.index(row.state), sign * (row.reached or 0.0) if row.state == "complete" else 0.0, row.number

    return sorted(rows, key=place)


def best_trial(rows: Sequence[TrialRow], *, lower: bool) -> TrialRow | None:
    """The complete trial with the best metric, the earliest of equal ones; None if none came to its end.

    >>> done = [Outcome(state=state, value=value) for state, value in (("complete", 0.1), ("pruned", 0.9), ("complete", 0.3))]
    >>> rows = [TrialRow(number=number, values={}, outcome=outcome) for number, outcome in enumerate(done)]
    >>> best_trial(rows, lower=False).number, best_trial(rows, lower=True).number
    (2, 0)
    """
    first = in_rank(rows, lower=lower)[:1]
    return first[0] if first and first[0].state == "complete" else None
