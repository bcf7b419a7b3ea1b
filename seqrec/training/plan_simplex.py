"""SimpleX: the next item at every position of a window, by the cosine contrastive loss."""

from dataclasses import dataclass
from functools import partial

from seqrec.models.losses import cosine_contrastive
from seqrec.settings.train_two_tower import TowerLoss, TowerShape
from seqrec.training.objective import ItemObjective
from seqrec.training.plan import ModelPlan, PlanInputs, build_sampler
from seqrec.training.tasks import next_item


@dataclass(frozen=True)
class PlanSimpleX:
    """Plans a SimpleX of a shape, with its loss."""

    shape: TowerShape
    loss: TowerLoss
    vectors: None = None

    @property
    def embeds_users(self) -> bool:
        """Whether users have embeddings: their weight in the query is above 0."""
        return self.shape.user_weight > 0

    def plan(self, inputs: PlanInputs) -> ModelPlan:
        """Histories are at most as long as the dataset's; the loss is in fp32 whatever `bf16` says."""
        data, shape, loss = inputs.data, self.shape, self.loss
        longest = data.meta.max_len
        max_len = min(shape.max_len or longest, longest)
        weight = f"-g{shape.user_weight:g}" if shape.user_weight else ""
        contrastive = partial(cosine_contrastive, negatives=loss.negatives, margin=loss.margin, weight=loss.weight)
        return ModelPlan(
            architecture="simplex",
            arguments={"vocab_size": len(data.items), **shape.model_dump(), "max_len": max_len, "users": inputs.users},
            task=next_item,
            objective=partial(
                ItemObjective, loss=contrastive, sampler=build_sampler(loss.sampling, data.counts, power=loss.power)
            ),
            name=f"simplex-d{shape.dim}-l{max_len}{weight}",
            named=("encoder.dim", "encoder.max_len", "encoder.user_weight"),
            to_lower=f"batch_size or encoder.dim, or the dataset's max_len of {longest} (build_sequences)",
        )
