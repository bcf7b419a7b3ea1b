"""A transformer: what it predicts at the positions of a window is a choice, and so is its loss."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor, nn

from seqrec.errors import UserError
from seqrec.models.encoder import Encoder
from seqrec.models.losses import bce, cross_entropy, gbce, gbce_beta, prior_score, sampled_cross_entropy
from seqrec.models.transformer import Transformer
from seqrec.settings.sequence_shape import SequenceShape
from seqrec.settings.train import Masking, Preferences, SequenceLoss, Train, WindowCuts
from seqrec.training.cuts import Cut
from seqrec.training.item_vectors import VectorSource
from seqrec.training.loader import TrainingTable
from seqrec.training.masking import MaskedItems
from seqrec.training.objective import ItemObjective, LearnedItems, count_hits
from seqrec.training.plan import ModelPlan, PlanInputs, as_drawn, build_sampler
from seqrec.training.preferences import PreferenceObjective, PreferencePairs, open_preferences
from seqrec.training.setup import TrainingSetup, training_setup
from seqrec.training.tasks import Task, next_item
from seqrec.training.vector_start import Use, plan_vectors


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What an objective adds to the plan."""

    task: Task
    objective: Callable[[Encoder], nn.Module]
    family: str  # how the model is called in papers, with its loss
    passes: int = 1
    table: TrainingTable | None = None
    references: int = 0
    shaping: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanTransformer:
    """Plans a transformer of a shape that learns an objective of OBJECTIVES, with a loss."""

    shape: SequenceShape
    windows: WindowCuts
    loss: SequenceLoss
    objective: str  # of OBJECTIVES
    masking: Masking
    vectors: VectorSource | None = None
    use: Use = "project"
    dpo: Preferences | None = None  # of objective=preferences
    embeds_users: bool = False
    members: int = 1  # transformers of the shape, trained side by side as one model

    def plan(self, inputs: PlanInputs) -> ModelPlan:
        """The plan for a dataset; a loss of the mean over several terms says so in the fingerprint."""
        data, loss, vectors = inputs.data, self.loss, inputs.vectors
        shape, dim, chosen = _of_size(self.shape, int(data.counts.sum()))
        max_len = shape.max_len or data.meta.max_len
        if max_len > data.meta.max_len:
            raise UserError(
                f"encoder.max_len={max_len} is above the max_len of {data.meta.max_len} of {data.path}: lower it, or run "
                f"build_sequences with max_len={max_len}"
            )
        start = None if vectors is None else plan_vectors(vectors, use=self.use, dim=dim)
        learned = OBJECTIVES[self.objective](self, inputs)
        return ModelPlan(
            architecture="transformer" if self.members == 1 else "ensemble",
            arguments={"vocab_size": len(data.items), **shape.model_dump(), "max_len": max_len}
            | ({} if self.members == 1 else {"members": self.members})
            | ({"rows": start.arguments} if start else {}),
            task=learned.task,
            objective=learned.objective,
            name=f"{learned.family}-d{dim}-l{max_len}",
            named=(
                *("objective", "encoder.attention", "loss.name", "encoder.dim", "encoder.max_len", *chosen),
                *(() if loss.name == "ce" else ("loss.negatives", "loss.t")),
            ),
            to_lower=f"batch_size, encoder.dim, .blocks, .heads or .ffn, or .max_len (now {max_len})",
            cut=self._cut(max_len, data.meta.max_len) if learned.table is None else None,
            passes=learned.passes,
            table=learned.table,
            references=learned.references,
            shaping=({"loss.terms": "mean"} if loss.name in ("bce", "gbce") else {})
            | ({"item_vectors": f"{self.use} {vectors.sha256()}"} if vectors else {})
            | learned.shaping
            | chosen,
            begin=partial(_begin, self._first_score(len(data.items)), start.begin if start else as_drawn),
        )

    def _first_score(self, vocab_size: int) -> float | None:
        """What scores of drawn weights begin at; None: where they are drawn."""
        loss = self.loss
        beta = gbce_beta(negatives=loss.negatives, vocab_size=vocab_size, t=loss.t) if loss.name == "gbce" else 1.0
        return prior_score(negatives=loss.negatives, beta=beta) if loss.prior else None

    def item_objective(self, inputs: PlanInputs) -> Callable[..., ItemObjective]:
        """The objective of a task that predicts items, still without its model.

        Negatives of bce are drawn outside the window, as its authors do; those of other losses from the whole vocabulary.
        Where items have vectors, those without a training event are left out of the loss.
        """
        loss, counts = self.loss, inputs.data.counts
        learned = None if inputs.vectors is None else LearnedItems.of(counts)
        counts = counts if learned is None else learned.counts
        return partial(
            ItemObjective,
            loss=self._bound_loss(bf16=inputs.bf16),
            sampler=None if loss.name == "ce" else build_sampler(loss.sampling, counts, power=loss.power),
            outside_windows=loss.name == "bce",
            balance=loss.balance,
            exclude_seen=loss.exclude_seen,
            learned=learned,
        )

    def _cut(self, max_len: int, longest: int) -> Cut | None:
        """How windows are cut; None where the dataset's are taken as they are."""
        if max_len == longest and not self.windows.shift:
            return None
        windows, excludes = self.windows, self.loss.exclude_seen
        return Cut(max_len=max_len, overlap=min(windows.overlap, max_len - 1), shift=windows.shift, keeps_older=excludes)

    def name_loss(self, names: dict[str, str]) -> str:
        """The loss by its name of `names`, with its negatives and gSASRec's calibration."""
        loss = self.loss
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


def _of_size(shape: SequenceShape, events: int) -> tuple[SequenceShape, int, dict[str, int]]:
    """The shape for so many events to learn from, its dim, and the settings of it that they chose."""
    dim, heads = shape.sizes(events)
    found = {"dim": dim, "heads": heads}
    chosen = {f"encoder.{name}": size for name, size in found.items() if getattr(shape, name) is None}
    return shape.model_copy(update=found), dim, chosen


def _begin(score: float | None, begin: Callable[[Encoder], None], model: Encoder) -> None:
    """Prepare drawn weights: what the plan does with them, and the score that all items begin with."""
    begin(model)
    if score is not None:
        assert isinstance(model, Transformer)
        model.begin_at(score)


def learn_next_items(plan: PlanTransformer, inputs: PlanInputs) -> Learned:
    """SASRec, and gSASRec where the loss is gbce: each item from those before it."""
    names = {"bce": "sasrec-bce", "gbce": "gsasrec", "ce": "sasrec-ce", "sampled_ce": "sasrec-sampled_ce"}
    return Learned(task=next_item, objective=plan.item_objective(inputs), family=plan.name_loss(names))


def learn_masked_items(plan: PlanTransformer, inputs: PlanInputs) -> Learned:
    """BERT4Rec: hidden items from those on both sides, and the share of them that the model puts first."""
    masking = plan.masking
    task = MaskedItems(
        vocab_size=len(inputs.data.items),
        masked_share=masking.masked_lm_prob,
        mask_share=masking.mask_prob,
        most=masking.max_predictions_per_seq,
        shortened_share=masking.short_seq_prob,
        last_copy=masking.dupe_factor if masking.mask_last else None,
    )
    return Learned(
        task=task,
        objective=partial(plan.item_objective(inputs), extras={"train_accuracy": count_hits}),
        family=plan.name_loss({name: f"bert4rec-{name}" for name in ("bce", "gbce", "ce", "sampled_ce")}),
        passes=masking.dupe_factor + masking.mask_last,
    )


def learn_preferences(plan: PlanTransformer, inputs: PlanInputs) -> Learned:
    """DPO: of two items after a context, that which the user took rather than the other, beside a share of the plan's loss."""
    dpo, max_len = plan.dpo, plan.shape.max_len or inputs.data.meta.max_len
    assert dpo is not None  # the settings see to it
    assert dpo.path is not None
    table, run_id = open_preferences(dpo.path, inputs.data)
    items, learner = plan.item_objective(inputs), partial(PreferenceObjective, beta=dpo.beta, supervised=dpo.supervised)
    return Learned(
        task=PreferencePairs(max_len=max_len, masks=plan.shape.attention == "bidirectional"),
        objective=lambda model: learner(items(model)),
        family=f"dpo-b{dpo.beta:g}-s{dpo.supervised:g}-{plan.loss.name}",
        table=table,
        references=1,
        shaping={"dpo.pairs": run_id, "dpo.beta": f"{dpo.beta:g}", "dpo.supervised": f"{dpo.supervised:g}"},
    )


OBJECTIVES: dict[str, Callable[[PlanTransformer, PlanInputs], Learned]] = {
    "next_item": learn_next_items,
    "masked_items": learn_masked_items,
    "preferences": learn_preferences,
}


def sequence_setup(cfg: Train) -> TrainingSetup:
    """The training that the settings of train describe."""
    wanted = cfg.item_vectors
    vectors = None
    if wanted.path is not None:
        vectors = VectorSource(path=wanted.path, ids=wanted.ids, id=wanted.id, embedding=wanted.embedding)
    parts = (cfg.encoder, cfg.windows, cfg.loss, cfg.objective, cfg.masking)
    return training_setup(cfg, PlanTransformer(*parts, vectors=vectors, use=wanted.use, members=cfg.members, dpo=cfg.dpo))
