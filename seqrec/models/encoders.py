"""The encoders by name. Each has `query` of items (B, L), `item_matrix`, and `forward`, the query of every position.

`inputs` names what `query` and `forward` take after each other: items, and with `user_idx` (B,) the places of users.
"""

from seqrec.models.sasrec import SASRec
from seqrec.models.simplex import SimpleX

Encoder = SASRec | SimpleX

ENCODERS: dict[str, type[SASRec] | type[SimpleX]] = {"sasrec": SASRec, "simplex": SimpleX}
