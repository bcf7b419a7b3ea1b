"""The encoders by the name of their architecture. An encoder is a model that turns histories into queries, and items into rows.

forward(items (B, L), …)   the query of every position (B, L, D), which training learns from
query(items (B, L), …)     the query of the last position (B, D), which is what an export computes
item_matrix()              (V+2, D): a score is a query times an item's row
inputs                     the arguments of `forward` and `query`: items, and for some models user_idx (B,), the rows of users
"""

from seqrec.models.sasrec import SASRec
from seqrec.models.simplex import SimpleX

Encoder = SASRec | SimpleX

ENCODERS: dict[str, type[SASRec] | type[SimpleX]] = {"sasrec": SASRec, "simplex": SimpleX}
