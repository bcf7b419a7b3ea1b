"""The meta.json of samples that a ranker learns from; `metadata` has those of all other versions."""

from typing import Any

from pydantic import Field

from seqrec.storage.meta import Meta, Part
from seqrec.storage.metadata import IdTypes, MergedSource


class SampleCounts(Part):
    """Users of each split, their rows and positive rows; users who were left out, and rows of items without features.

    Left out are users without a candidate, and those none of whose held-out items is among their candidates.
    """

    train_users: int
    valid_users: int
    rows: int
    positives: int
    without_candidates: int
    without_target: int
    items_without_features: int


class RankerSamplesMeta(Meta):
    """Labelled candidates, which build_ranker_samples writes; run ids of what they were made from, sources by name."""

    id_types: IdTypes
    dataset: str
    history: str
    candidates: str
    features: str
    sources: dict[str, MergedSource]
    counts: SampleCounts
    settings: dict[str, Any] = Field({})
