"""A transformer: the next item at every position of a window, by one of four losses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from seqrec.models.losses import bce, cross_entropy, gbce, sampled_cross_entropy
from seqrec.settings.train import SequenceLoss, SequenceShape
from seqrec.training.objective import ItemObjective
from seqrec.training.plan import ModelPlan, PlanInputs, build_sampler
from seqrec.training.tasks import next_item


@dataclass(frozen=True)
class PlanTransformer:
    """Plans a transformer of a shape, with a loss."""

    shape: SequenceShape
    loss: SequenceLoss
    embeds_users: bool = False

    def plan(self, inputs: PlanInputs) -> ModelPlan:
        """Negatives of bce are drawn outside the window, as its authors do; those of other losses from the whole vocabulary."""
        data, shape, loss = inputs.data, self.shape, self.loss
        max_len = data.meta.max_len
        return ModelPlan(
            architecture="transformer",
            arguments={"vocab_size": len(data.items), "max_len": max_len, **shape.model_dump()},
            task=next_item,
            objective=partial(
                ItemObjective,
                loss=self._bound_loss(bf16=inputs.bf16),
                sampler=None if loss.name == "ce" else build_sampler(loss.sampling, data, power=loss.power),
                outside_windows=loss.name == "bce",
            ),
            name=f"{self._family()}-d{shape.dim}-l{max_len}",
            named=("loss.name", "encoder.dim", *(() if loss.name == "ce" else ("loss.negatives", "loss.t"))),
            to_lower=f"batch_size, encoder.dim, .blocks, .heads or .ffn, or the dataset's max_len of {max_len} (build_sequences)",
            shaping={"loss.terms": "mean"} if loss.name in ("bce", "gbce") else {},
        )

    def _family(self) -> str:
        """How the model is called in papers, with the negatives of its loss and gSASRec's calibration."""
        loss = self.loss
        names = {"bce": "sasrec-bce", "gbce": "gsasrec", "ce": "sasrec-ce", "sampled_ce": "sasrec-sampled_ce"}
        negatives = "" if loss.name == "ce" else f"-k{loss.negatives}"
        return names[loss.name] + negatives + (f"-t{loss.t:g}" if loss.name == "gbce" else "")

    def _bound_loss(self, *, bf16: bool) -> Callable[..., Tensor]:
        """The loss of that name with its keywords, but for the sampler."""
        loss = self.loss
        losses: dict[str, Callable[..., Tensor]] = {
            "ce": partial(cross_entropy, bf16=bf16),
            "bce": partial(bce, negatives=loss.negatives),
            "gbce": partial(gbce, negatives=loss.negatives, t=loss.t),
            "sampled_ce": partial(sampled_cross_entropy, negatives=loss.negatives, log_q=loss.log_q),
        }
        return losses[loss.name]
