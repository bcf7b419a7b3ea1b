"""How far a training has come, when it stops, and which model is the best."""

from dataclasses import asdict, dataclass, field
from typing import Any

from seqrec.errors import UserError


@dataclass
class Progress:
    """What a checkpoint needs besides weights and optimiser. The random state of a step follows from (seed, step, rank)."""

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    best: float | None = None
    best_step: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    loss_sum: float = 0.0
    positions: float = 0.0
    seconds: float = 0.0

    def advance(self, steps_per_epoch: int) -> None:
        """Count a step, and an epoch with its last one."""
        self.step += 1
        self.step_in_epoch += 1
        if self.step_in_epoch == steps_per_epoch:
            self.epoch, self.step_in_epoch = self.epoch + 1, 0

    def judge(self, metrics: dict[str, float], *, metric: str) -> bool:
        """Whether these metrics are the best so far; equal ones are not. `loss` is better when lower.

        >>> progress = Progress(step=10)
        >>> [progress.judge({"loss": value}, metric="loss") for value in (2.0, 1.5, 1.5, 1.7)], progress.stale
        ([True, True, False, False], 2)
        """
        value = metrics[metric]
        better = self.best is None or (value < self.best if metric == "loss" else value > self.best)
        if better:
            self.best, self.best_step, self.best_metrics, self.stale = value, self.step, metrics, 0
        else:
            self.stale += 1
        return better

    def record(self, sums: list[list[float]]) -> dict[str, Any]:
        """The plain values, for a checkpoint: `restore` makes them this one again. Sums are loss_sum and positions of each rank.

        >>> progress = Progress(step=3, loss_sum=5.0, positions=2.0)
        >>> Progress.restore(progress.record([[5.0, 2.0], [6.0, 4.0]]), rank=1)  # doctest: +ELLIPSIS
        Progress(step=3, ... loss_sum=6.0, positions=4.0, seconds=0.0)
        """
        return {**asdict(self), "sums": sums}

    @classmethod
    def restore(cls, record: dict[str, Any], *, rank: int) -> "Progress":
        """The progress of a rank, from what `record` made; a record without sums of each rank holds those of the first."""
        plain = {key: value for key, value in record.items() if key != "sums"}
        alone = [record["loss_sum"], record["positions"]] if rank == 0 else [0.0, 0.0]
        loss_sum, positions = record["sums"][rank] if "sums" in record else alone
        return cls(**{**plain, "loss_sum": loss_sum, "positions": positions})


def require_same(before: dict[str, Any], now: dict[str, Any], *, absent: dict[str, Any], folder: str) -> None:
    """Raise UserError, naming the settings that differ from those of the folder's checkpoint, and what to do.

    What a checkpoint doesn't say, because its seqrec had no such setting, is taken from `absent`.

    >>> require_same({"seed": 1}, {"seed": 1, "loss.power": 0.75}, absent={"loss.power": 0.75}, folder="m")
    """
    before = {**absent, **before}
    differing = [key for key in now if before.get(key) != now.get(key)]
    if differing == ["data"]:
        raise UserError(
            f"{folder} was trained on version {before['data']} of the dataset, which is now {now['data']}: resume=false trains "
            f"anew on it, model=FOLDER keeps both, data=FOLDER/{before['data']} goes on with the old version"
        )
    if differing:
        listed = "; ".join(f"{key}={before.get(key)} there, {now.get(key)} now" for key in differing)
        raise UserError(
            f"{folder} holds a training with other settings ({listed}): "
            "use the same, another model=FOLDER, or resume=false to start over"
        )


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """
    >>> flatten({"seed": 1, "loss": {"name": "ce"}})
    {'seed': 1, 'loss.name': 'ce'}
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
