"""The meta.json of features, of samples and of rankers that learn from them; `metadata` has those of all other versions."""

from typing import Any

from pydantic import Field

from seqrec.storage.candidate_metadata import MergedSource
from seqrec.storage.meta import Meta, Part
from seqrec.storage.metadata import IdTypes, TrainedOn

FEATURE_SCHEMA = "feature_schema.json"  # beside the tables of features and samples: which columns are features, and of which kind


class MissingCount(Part):
    """The number of rated users or items, and how many of these are missing in their table."""

    rated: int
    missing: int


class FeatureInputs(Part):
    """The paths of the ratings, and of the tables of users and items where there are any."""

    ratings: str
    users: str | None
    items: str | None


class FeaturesMeta(Meta):
    """A version of the features, which build_features writes; `dataset` is the run id of the dataset that they belong to.

    `counts` are the rows of each written table, the number of cleaned `ratings`, and the `missing` users and items.
    """

    dataset: str
    id_types: IdTypes
    history: str
    settings: dict[str, Any]
    inputs: FeatureInputs
    counts: dict[str, int | dict[str, MissingCount]]


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


class FeatureSchema(Part):
    """What feature_schema.json says of a table of samples: its discrete and continuous columns, and the order of the genres."""

    discrete: list[str]
    continuous: list[str]
    genres: list[str] = Field([])
    recent_items: int | None = None


class SamplesMeta(Meta):
    """A version with samples for rankers, which build_features or build_ranker_samples wrote; sources are the candidates'."""

    dataset: str | None = None
    history: str | None = None
    id_types: IdTypes | None = None
    sources: dict[str, Any] = Field({})


class RankerMeta(Meta):
    """A ranker, which train_ranker writes. `files` has each file's SHA-256 by name; sources are those of the candidates.

    `metrics` are by split and then by name (see `rankers.label_metrics`), of the ranker and, as `item_mean`, of the item's mean
    rating; `parity` is the comparison of ONNX Runtime with the trained model. `columns` are those it reads, in order.
    """

    method: str
    id_types: IdTypes | None = None
    samples: TrainedOn
    feature_schema: FeatureSchema
    columns: list[str]
    sources: dict[str, Any] = Field({})
    files: dict[str, str]
    metrics: dict[str, dict[str, dict[str, float | None]]] = Field({})
    parity: dict[str, float] = Field({})
    settings: dict[str, Any] = Field({})
