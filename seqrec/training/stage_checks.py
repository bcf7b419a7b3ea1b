"""Whether each of several stages can be trained after the one before, which is said before the first of them is trained.

A stage is planned from the dataset, and its model is built on torch's meta device, where tensors have no values.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from seqrec.errors import UserError
from seqrec.models.encoder import Encoder
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.fitting_start import require_whole
from seqrec.training.frozen import freeze
from seqrec.training.item_vectors import ItemVectors, VectorSource, read_item_vectors
from seqrec.training.kept_weights import match_weights
from seqrec.training.plan import ModelPlan, PlanInputs
from seqrec.training.setup import TrainingSetup
from seqrec.training.training_data import TrainingData, open_training_data
from seqrec.training.warm_start import require_members, require_moments


def require_stages(names: Sequence[str], setups: Sequence[TrainingSetup]) -> None:
    """Raise UserError, which names the stage, for one that can't be trained on the dataset, or not after the one before.

    That is a shape that the dataset or the model before doesn't have, a part to freeze that there is none of, and moments of
    another optimiser. The vocabulary, and each source of vectors or pairs, are read once more.
    """
    with tempfile.TemporaryDirectory(prefix="seqrec-stages-") as temporary:
        data, read = open_training_data(setups[0].data, Path(temporary)), dict[VectorSource, ItemVectors]()
        plans: list[ModelPlan] = []
        for number, (name, setup) in enumerate(zip(names, setups, strict=True)):
            try:
                plans.append(_plan(setup, data, read, Path(temporary, "vectors")))
                model = freeze(_build(plans[-1]), setup.freeze)
                if number:
                    _require_after(setups[number - 1], plans[-2], setup, plans[-1], model, before=names[number - 1])
            except UserError as error:
                raise UserError(f"stages: {name}: {error}") from None


def _plan(setup: TrainingSetup, data: TrainingData, read: dict[VectorSource, ItemVectors], cache: Path) -> ModelPlan:
    """The plan of a stage; vectors that another stage has read are taken from there."""
    vectors = None
    if (source := setup.architecture.vectors) is not None:
        vectors = read.get(source) or read_item_vectors(source, data, cache, says=False)
        read[source] = vectors
        data = data.with_vectors(vectors.known)
    return setup.architecture.plan(PlanInputs(data=data, users=0, bf16=False, vectors=vectors))  # how many users is no matter


def _build(plan: ModelPlan) -> Encoder:
    """The model without values."""
    with torch.device("meta"):
        return plan.build()


def _require_after(
    former: TrainingSetup, planned: ModelPlan, setup: TrainingSetup, plan: ModelPlan, model: Encoder, *, before: str
) -> None:
    """Raise UserError unless a stage's model can begin from that of the stage before, which was planned so."""
    there, here = (int(arguments["dim"]) for arguments in (planned.arguments, plan.arguments))
    if there != here:
        raise UserError(
            f"encoder.dim={here}, and its weights begin from those of the stage {before}, which are {there} wide: give both the "
            "same encoder.dim"
        )
    start = Checkpoint(
        model={},
        architecture=planned.architecture,
        arguments=planned.arguments,
        meta={},
        fingerprint={"optimizer.name": former.optimizer.name},
        optimizer={},
    )
    require_members(start, plan.arguments, carried=setup.carries_moments, path=former.folder)
    if setup.carries_moments:
        require_moments(start, setup.optimizer.name, path=former.folder)
    matches = [match_weights(old, new, None) for old, new in zip(_build(planned).parts(), model.parts(), strict=True)]
    if plan.references:
        require_whole(start, plan.arguments, matches, path=former.folder)
