"""What a training changes: drawn by its seed, begun from a checkpoint, or as a training was left."""

from dataclasses import dataclass

import torch
from torch import nn

from seqrec.models.encoder import Encoder
from seqrec.training.averaging import WeightAverage
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.frozen import freeze
from seqrec.training.optimizer import build_optimizer
from seqrec.training.plan import ModelPlan
from seqrec.training.processes import Process
from seqrec.training.progress import Progress
from seqrec.training.setup import TrainingSetup
from seqrec.training.warm_start import WarmStart


@dataclass(frozen=True, kw_only=True)
class Learner:
    """What changes with each step."""

    model: Encoder
    average: WeightAverage[Encoder] | None
    objective: nn.Module
    optimizer: torch.optim.Optimizer
    progress: Progress

    @property
    def validated(self) -> Encoder:
        """The model that is validated and saved: the average, where there is one."""
        return self.model if self.average is None else self.average.model


def build_learner(
    setup: TrainingSetup, plan: ModelPlan, process: Process, state: Checkpoint | None, start: WarmStart | None
) -> Learner:
    """The learner of a new training, whose weights are drawn by the seed or begin from a start, or of that of a state."""
    torch.manual_seed(setup.seed)
    model = freeze(plan.build().to(process.device), setup.freeze)
    optimizer = build_optimizer(model, setup.optimizer)
    if state is None:
        for part in model.parts():
            plan.begin(part)
        if start is not None:
            start.begin(model, optimizer)
    objective = plan.objective(model).to(process.device)  # now, since it may keep a copy of the weights as they begin
    decay, progress = setup.optimizer.ema_decay, Progress()
    average = None if decay is None else WeightAverage(model, decay=decay)
    if state is not None:
        assert state.optimizer is not None
        assert state.progress is not None
        model.load_state_dict(state.trained or state.model)
        if average is not None:
            average.model.load_state_dict(state.model)
        if state.reference is not None:
            objective.load_state_dict(state.reference, strict=False)
        optimizer.load_state_dict(state.optimizer)
        progress = Progress.restore(state.progress, rank=process.rank)
    return Learner(model=model, average=average, objective=objective, optimizer=optimizer, progress=progress)
