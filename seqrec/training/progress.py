"""How far a training has come, and which model is the best so far."""

from dataclasses import asdict, dataclass, field
from typing import Any

LOWER = ("loss", "log_loss")  # metrics that are better when lower

Recorded = dict[str, Any]  # a progress as plain values, in a checkpoint


@dataclass
class Pace:
    """The tokens of a process's steps in this run since the last validation, and the time that they took."""

    tokens: int = 0
    seconds: float = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Add a step."""
        self.tokens, self.seconds = self.tokens + tokens, self.seconds + seconds

    def clear(self) -> None:
        """Start anew."""
        self.tokens, self.seconds = 0, 0.0


@dataclass
class Progress:
    """What a checkpoint needs besides weights and optimiser. The random state of a step follows from (seed, step, rank).

    The sums are of this process alone, since the last validation.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    best: float | None = None
    best_step: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)
    stale: int = 0  # validations since the best one
    loss_sum: float = 0.0
    positions: float = 0.0  # how many losses were summed
    seconds: float = 0.0
    extras: dict[str, float] = field(default_factory=dict)  # sums of the objective's extras

    def advance(self, steps_per_epoch: int) -> None:
        """Count a step; the last step of an epoch counts the epoch too."""
        self.step += 1
        self.step_in_epoch += 1
        if self.step_in_epoch == steps_per_epoch:
            self.epoch, self.step_in_epoch = self.epoch + 1, 0

    def judge(self, metrics: dict[str, float], *, metric: str) -> bool:
        """Whether these metrics are the best so far; equal ones are not. Those of LOWER are better when lower.

        >>> progress = Progress(step=10)
        >>> [progress.judge({"loss": value}, metric="loss") for value in (2.0, 1.5, 1.5, 1.7)], progress.stale
        ([True, True, False, False], 2)
        """
        value = metrics[metric]
        better = self.best is None or (value < self.best if metric in LOWER else value > self.best)
        if better:
            self.best, self.best_step, self.best_metrics, self.stale = value, self.step, metrics, 0
        else:
            self.stale += 1
        return better

    def add(self, loss_sum: float, positions: float, extras: dict[str, float]) -> None:
        """Add a step's sums."""
        self.loss_sum, self.positions = self.loss_sum + loss_sum, self.positions + positions
        self.extras = {name: self.extras.get(name, 0.0) + value for name, value in extras.items()}

    @property
    def sums(self) -> list[float]:
        """The sums in a row: of the loss, of the positions, and of the extras."""
        return [self.loss_sum, self.positions, *self.extras.values()]

    def clear_sums(self) -> None:
        """Start the sums anew."""
        self.loss_sum, self.positions, self.extras = 0.0, 0.0, {}

    def record(self, sums: list[list[float]]) -> Recorded:
        """The plain values, for a checkpoint: `restore` makes them this progress again. `sums` has the row of each rank.

        >>> progress = Progress(step=3, loss_sum=5.0, positions=2.0)
        >>> Progress.restore(progress.record([[5.0, 2.0], [6.0, 4.0]]), rank=1)  # doctest: +ELLIPSIS
        Progress(step=3, ... loss_sum=6.0, positions=4.0, seconds=0.0, extras={})
        """
        recorded = {**asdict(self), "sums": sums}
        if not self.extras:
            del recorded["extras"]
        return recorded

    @classmethod
    def restore(cls, recorded: Recorded, *, rank: int) -> "Progress":
        """The progress of a rank, from what `record` made; a record of an older release has the sums of rank 0 alone."""
        plain = {key: value for key, value in recorded.items() if key not in ("sums", "extras")}
        first = [recorded["loss_sum"], recorded["positions"]] if rank == 0 else [0.0, 0.0]
        loss_sum, positions, *sums = recorded["sums"][rank] if "sums" in recorded else first
        extras = dict(zip(recorded.get("extras", {}), sums, strict=True))
        return cls(**{**plain, "loss_sum": loss_sum, "positions": positions, "extras": extras})
