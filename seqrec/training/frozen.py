"""Parts of a model that stay as they begin: they get no gradient, and the optimiser doesn't know them."""

from collections.abc import Sequence

from seqrec.errors import UserError
from seqrec.models.encoder import Encoder


def freeze(model: Encoder, parts: Sequence[str]) -> Encoder:
    """The model, of whose weights those of the parts are no longer learned; a part is a module or a weight by its dotted name.

    Of several members, the parts of each are meant. Raises UserError for a part that the model hasn't, with those that it has,
    and if nothing is left to learn.
    """
    for encoder in model.parts():
        for part in parts:
            _freeze_part(encoder, part)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UserError(f"freeze=[{', '.join(parts)}] leaves nothing to learn: take a part out of it")
    return model


def _freeze_part(encoder: Encoder, part: str) -> None:
    """Freeze the weights whose names begin with that of a part."""
    names = [name for name, _ in encoder.named_parameters()]
    chosen = [name for name in names if f"{name}.".startswith(f"{part}.")]
    if not chosen:
        inner = sorted({name.rpartition(".")[0] for name in names if "." in name})
        whole = list(dict.fromkeys(name.partition(".")[0] for name in names))
        raise UserError(
            f"freeze: the model has no part {part!r}: it has {', '.join(whole)}, and parts of these, such as {inner[0]}"
        )
    for name in chosen:
        encoder.get_parameter(name).requires_grad_(False)
