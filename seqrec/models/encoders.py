"""The encoders by the name of their architecture, which stands in every checkpoint."""

from seqrec.models.encoder import Encoder
from seqrec.models.ensemble import Ensemble
from seqrec.models.simplex import SimpleX
from seqrec.models.transformer import Transformer

ENCODERS: dict[str, type[Encoder]] = {"transformer": Transformer, "ensemble": Ensemble, "simplex": SimpleX}
FORMER_NAMES = {"sasrec": "transformer"}  # of architectures, in checkpoints of older releases


def name_now(architecture: str) -> str:
    """The name of an architecture today.

    >>> name_now("sasrec"), name_now("simplex")
    ('transformer', 'simplex')
    """
    return FORMER_NAMES.get(architecture, architecture)
