"""When a training ends, and at which of its steps it validates and saves."""

import math
from dataclasses import dataclass

from seqrec.training.progress import Progress


@dataclass(frozen=True, kw_only=True)
class TrainingLimits:
    """When a training ends, and when this run of it does."""

    epochs: int
    steps: int | None
    minutes: float | None  # of this run
    patience: int | None  # validations without improvement

    def total_steps(self, steps_per_epoch: int) -> int:
        """The step at which the training ends, if patience doesn't end it before.

        >>> [TrainingLimits(epochs=3, steps=steps, minutes=None, patience=None).total_steps(4) for steps in (None, 5, 99)]
        [12, 5, 12]
        """
        by_epochs = steps_per_epoch * self.epochs
        return min(by_epochs, self.steps or by_epochs)

    def reached(self, progress: Progress) -> bool:
        """Whether a training is over: by steps, epochs, or validations without improvement.

        >>> limits = TrainingLimits(epochs=3, steps=None, minutes=1.0, patience=2)
        >>> [limits.reached(Progress(epoch=epoch, stale=stale)) for epoch, stale in ((2, 1), (2, 2), (3, 0))]
        [False, True, True]
        """
        spent = self.patience is not None and progress.stale >= self.patience
        return spent or progress.epoch >= self.epochs or progress.step >= (self.steps or math.inf)


@dataclass(frozen=True, kw_only=True)
class Milestones:
    """After which steps a training validates and saves, and by which metric the best model is chosen."""

    validate_every: int | None  # steps; None: at the end of each epoch
    checkpoint_every: int | None  # steps, besides each validation
    metric: str
    log_every: int | None  # steps between the scalars of steps; None: there are none
