"""What is trained: each architecture plans its model, task and loss from its settings and a dataset.

An architecture is an object with the members of `Architecture`, small enough to be pickled to other processes. A job makes it
from its configuration: jobs/train.py a PlanTransformer, jobs/train_two_tower.py a PlanSimpleX.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from seqrec.models.encoder import Encoder
from seqrec.models.encoders import ENCODERS
from seqrec.models.losses import Sampler
from seqrec.models.negatives import Popularity, Uniform
from seqrec.training.cuts import Cut
from seqrec.training.item_vectors import ItemVectors, VectorSource
from seqrec.training.loader import TrainingTable
from seqrec.training.tasks import Task
from seqrec.training.training_data import TrainingData


def as_drawn(_: Encoder) -> None:
    """Weights begin as they are drawn."""


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """A model, what it learns, and how that is measured."""

    architecture: str  # of ENCODERS
    arguments: dict[str, Any]  # of the architecture; they stand in every checkpoint
    task: Task
    objective: Callable[[Encoder], nn.Module]  # of the model; called with a batch of the task, it returns a Loss
    name: str  # how the model's name begins
    named: tuple[str, ...]  # the settings that it says
    to_lower: str  # the settings to lower if memory is short
    cut: Cut | None = None  # of the dataset's windows into the model's; None: they are taken as they are
    passes: int = 1  # over the windows in an epoch; in each, a window is another of its copies (see loader.Windows)
    table: TrainingTable | None = None  # what is trained on; None: the dataset's windows
    references: int = 0  # copies of the weights that the objective keeps as they begin
    shaping: dict[str, str | int] = field(default_factory=dict)  # what weights depend on besides settings, for the fingerprint
    begin: Callable[[Encoder], None] = as_drawn  # what is done with new weights before the first step

    def build(self) -> Encoder:
        """The model, with weights drawn from torch's generator."""
        return ENCODERS[self.architecture](**self.arguments)

    def count_parameters(self) -> int:
        """The number of the model's weights, counted on torch's meta device, where tensors have no values."""
        with torch.device("meta"):
            return sum(weight.numel() for weight in self.build().parameters())


@dataclass(frozen=True, kw_only=True)
class PlanInputs:
    """What a plan is made from, besides settings."""

    data: TrainingData
    users: int  # how many have embeddings
    bf16: bool
    vectors: ItemVectors | None = None  # of the items, where the architecture has a source of them


class Architecture(Protocol):
    """How a model is planned."""

    @property
    def embeds_users(self) -> bool:
        """Whether the model has embeddings of users, so that their hashes are read and stay with the model."""

    @property
    def vectors(self) -> VectorSource | None:
        """Where vectors of items are; None if the model takes none."""

    def plan(self, inputs: PlanInputs) -> ModelPlan:
        """The plan for a dataset."""


def build_sampler(sampling: str, counts: Tensor, *, power: float) -> Sampler:
    """The sampler of that name, uniform or popularity, over items with these counts (V,)."""
    return Uniform(vocab_size=len(counts)) if sampling == "uniform" else Popularity(counts=counts, power=power)
