"""The settings of train: an encoder, what it learns, and how that is minimised."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import Positive, Share
from seqrec.settings.item_vectors import ItemVectorFile
from seqrec.settings.sequence_shape import SequenceShape
from seqrec.settings.training import Training


class Masking(Strict):
    """What objective=masked_items hides of a window: the keys of BERT4Rec's data generation."""

    masked_lm_prob: Annotated[float, Field(gt=0, le=1)] = Field(0.2, description="share of a window's items to predict")
    mask_prob: Share = Field(
        1.0, description="probability that the mask replaces such an item; else half stay, half become a random item"
    )
    max_predictions_per_seq: Positive | None = Field(None, description="most items to predict of a window; null: by share alone")
    dupe_factor: Positive = Field(10, description="maskings of each window in an epoch, drawn anew in each")
    mask_last: bool = Field(True, description="one more copy of each window an epoch, with only its last item masked")
    short_seq_prob: Share = Field(0.0, description="share of windows that are cut to a random number of their newest items")


class Preferences(Strict):
    """How objective=preferences learns: direct preference optimisation (Rafailov et al. 2023)."""

    path: str | None = Field(None, description="folder of build_preferences; its pairs are trained on in place of the windows")
    beta: Annotated[float, Field(gt=0, le=100)] = Field(
        0.1, description="how steeply a margin over the model of init counts; lower values let the model go further from it"
    )
    supervised: Share = Field(0.5, description="share of the loss of the chosen item as the next one, by loss.name")


class WindowCuts(Strict):
    """How the dataset's windows are cut into those of the model, in each epoch anew."""

    overlap: Annotated[int, Field(ge=0)] = Field(
        0, description="items at the beginning of a window that are context alone: the older window predicts what follows them"
    )
    shift: Annotated[int, Field(ge=0)] = Field(
        0,
        description="half of the rows lose up to so many newest events, drawn anew in each epoch, so that windows end elsewhere",
    )


class SequenceLoss(Strict):
    """What is minimised."""

    name: Literal["bce", "gbce", "ce", "sampled_ce"] = Field("ce", description="bce, gbce, ce (full softmax) or sampled_ce")
    negatives: Positive = Field(256, description="negatives a position (bce, gbce) or shared by a batch (sampled_ce)")
    t: Share = Field(0.75, description="calibration of gbce: 0 is bce, 1 calibrates fully")
    sampling: Literal["uniform", "popularity"] = Field("uniform", description="how negatives are drawn")
    power: Annotated[float, Field(ge=-4, le=4)] = Field(0.75, description="exponent of the count, for sampling=popularity")
    balance: Annotated[float, Field(ge=0, le=100)] = Field(
        0.01,
        description="weight of the load-balancing loss of encoder.mlp=moe (Fedus et al. 2021, eq. 4), which train_loss includes",
    )
    exclude_seen: bool = Field(
        False,
        description="leave items that stand earlier in the row out of the softmax of ce; a target that repeats one stays",
    )
    log_q: bool = Field(True, description="correct the scores of sampled_ce's negatives by the log of their probability")
    prior: bool = Field(
        False,
        description="let all scores of bce and gbce begin where an item belongs that is as often the target as any other, not at "
        "0: else the first hundreds of steps only lower them; it needs encoder.output_bias, or a separate output after a "
        "layer norm",
    )


class Train(Training):
    """Windows into checkpoints."""

    preset: str | None = Field(None, description="a recipe in conf/presets, or a YAML file")
    encoder: SequenceShape = SequenceShape()
    members: Positive = Field(
        1, description="encoders of that shape, trained side by side and exported as one, whose scores are the means of theirs"
    )
    windows: WindowCuts = WindowCuts()
    objective: Literal["next_item", "masked_items", "preferences"] = Field(
        "next_item",
        description="what is learned: the item after each; items that are hidden from a bidirectional encoder; or which of two "
        "items a user took, beginning from the model of init",
    )
    masking: Masking = Masking()
    dpo: Preferences = Preferences()
    loss: SequenceLoss = SequenceLoss()
    item_vectors: ItemVectorFile = ItemVectorFile()

    def reads(self) -> tuple[str, ...]:
        return ("data", "init", "item_vectors.path", "item_vectors.ids", "dpo.path")

    def writes(self) -> str | None:
        return "model"

    @model_validator(mode="after")
    def _attention_suits_the_objective(self) -> "Train":
        """No position sees the item that it predicts, and masked items are seen from both sides."""
        attention = self.encoder.attention
        if self.objective == "next_item" and attention != "causal":
            raise ValueError(
                f"encoder.attention={attention} shows each position the item that objective=next_item predicts there: "
                "set objective=masked_items, or encoder.attention=causal"
            )
        if self.objective == "masked_items" and attention != "bidirectional":
            raise ValueError(
                f"objective=masked_items predicts items from those on both sides, which encoder.attention={attention} hides: "
                "set encoder.attention=bidirectional, or objective=next_item"
            )
        return self

    @model_validator(mode="after")
    def _vectors_enter_the_output(self) -> "Train":
        """Vectors enter the embedding of the items, which is the output too where it is tied."""
        if self.item_vectors.path is not None and self.encoder.output == "separate":
            raise ValueError("item_vectors enter a tied output alone: set encoder.output=tied, or item_vectors.path=null")
        return self

    @model_validator(mode="after")
    def _groups_are_of_the_objective(self) -> "Train":
        """Masking and dpo are each of one objective, and would say nothing of another."""
        for group, objective in (("masking", "masked_items"), ("dpo", "preferences")):
            given, default = getattr(self, group), type(self).model_fields[group].default
            for name in type(given).model_fields if self.objective != objective else ():
                if getattr(given, name) != getattr(default, name):
                    raise ValueError(
                        f"{group}.{name} is of objective={objective}, and objective={self.objective} "
                        f"{'masks nothing' if group == 'masking' else 'has no pairs'}"
                    )
        return self

    @model_validator(mode="after")
    def _preferences_begin_from_a_model(self) -> "Train":
        """Preferences are of a model that is better than drawn weights, and stays the best until a better one is validated."""
        if self.objective != "preferences":
            return self
        if self.dpo.path is None:
            raise ValueError("objective=preferences learns from pairs: set dpo.path to the folder of build_preferences")
        if self.init is None:
            raise ValueError("objective=preferences begins from a trained model: set init=MODEL, or another objective first")
        if not self.validate:
            raise ValueError("objective=preferences keeps the best model, that of init included: it needs validate=true")
        return self

    @model_validator(mode="after")
    def _overlap_leaves_targets(self) -> "Train":
        """A window has more items than it shares with the older one, and is cut only where it is shorter than the dataset's."""
        overlap, longest = self.windows.overlap, self.encoder.max_len
        if overlap and longest is None:
            raise ValueError(f"windows.overlap={overlap} is of windows shorter than the dataset's: set encoder.max_len")
        if longest is not None and overlap >= longest:
            raise ValueError(f"windows.overlap={overlap} leaves nothing to predict in windows of encoder.max_len={longest} items")
        return self

    @model_validator(mode="after")
    def _scores_can_begin_at_the_prior(self) -> "Train":
        """prior is of losses that tell a target from negatives by itself, and of parts that can shift all scores."""
        shape = self.encoder
        plain = not shape.output_layer and shape.head == "dot" and shape.norm == "layer" and shape.norm_place != "post"
        if self.loss.prior and self.loss.name not in ("bce", "gbce"):
            raise ValueError(f"loss.prior=true is of bce and gbce, and this is loss.name={self.loss.name}: set loss.prior=false")
        if self.loss.prior and not shape.output_bias and not (plain and shape.output == "separate"):
            raise ValueError(
                "loss.prior=true needs encoder.output_bias=true, or encoder.output=separate after a last norm of kind layer "
                "(norm_place pre or query, no output_layer, head=dot): set loss.prior=false, or one of these"
            )
        return self

    @model_validator(mode="after")
    def _softmax_excludes(self) -> "Train":
        """exclude_seen is of the full softmax over next items."""
        loss, objective = self.loss.name, self.objective
        if self.loss.exclude_seen and (loss != "ce" or objective == "masked_items"):
            raise ValueError(
                f"loss.exclude_seen=true is of loss.name=ce and of next items, and these are loss.name={loss} and "
                f"objective={objective}: set loss.exclude_seen=false"
            )
        return self
