"""What the meta.json of each kind of version says, as `tables.schemas` says it of the tables.

    meta = DatasetMeta.read("/data/dataset/20261101T020000Z-3f2a")
    meta.vocabulary.size, meta.id_types.item

A kind names what its readers take, with their types. A meta.json may hold more, and one that an older release wrote may lack
what has a default here.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from seqrec.storage.meta import Meta, Part

IdType = Literal["bigint", "string"]


class IdTypes(Part):
    """The types of the ids of users and items."""

    user: IdType
    item: IdType


class Growth(Part):
    """A vocabulary in the lineage of another: its hash, and how many items it had."""

    hash: str
    size: int


class Vocabulary(Part):
    """The items of a dataset or a model: how many, their hash, and its lineage: what it grew from, oldest first, itself last."""

    size: int
    hash: str
    lineage: list[Growth]


class Counts(Part):
    """What a dataset holds; events by split (all, train, valid, test), users and items as in stats.json."""

    events: dict[str, int]
    users: dict[str, int] = Field({})
    items: dict[str, int] = Field({})
    windows: int = 0


class DatasetSettings(Part):
    """The settings that build_sequences had: those that other jobs take are named here, the others are kept beside them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", protected_namespaces=())

    input: dict[str, Any] = Field({})
    drop_consecutive_duplicates: bool = False
    split_times: list[str] | None = None

    @property
    def ordered(self) -> bool:
        """Whether a column of the input ordered ratings of the same timestamp."""
        return self.input.get("columns", {}).get("order") is not None


class DatasetInputs(Part):
    """What a dataset was built from: the path of the ratings, and the run id of the dataset whose vocabulary it extends."""

    ratings: str | None = None
    vocabulary: str | None = None


class DatasetMeta(Meta):
    """A version of a dataset, which build_sequences writes."""

    id_types: IdTypes
    vocabulary: Vocabulary
    task: str
    max_len: int
    counts: Counts
    settings: DatasetSettings = DatasetSettings()
    inputs: DatasetInputs = DatasetInputs()


class MissingCount(Part):
    """How many users or items are rated, and how many of them their table lacks."""

    rated: int
    missing: int


class FeatureInputs(Part):
    """The paths of the ratings, and of the tables of users and items where there are any."""

    ratings: str
    users: str | None
    items: str | None


class FeaturesMeta(Meta):
    """A version of the features, which build_features writes; `dataset` is the run id of the dataset that they are of.

    Counts are the rows of each table that was written, the cleaned `ratings`, and under `missing` what tables lack.
    """

    dataset: str
    id_types: IdTypes
    history: str
    settings: dict[str, Any]
    inputs: FeatureInputs
    counts: dict[str, int | dict[str, MissingCount]]


class TrainedMeta(Meta):
    """What a training says of its model, in every checkpoint and every export; `run_id` is the training's."""

    name: str
    dataset: str
    id_types: IdTypes
    vocabulary: Vocabulary
    vocabulary_sha256: str | None = Field(None, description="of its ids, indices and counts")
    users_sha256: str | None = Field(None, description="of the users whose embeddings the model has")


class ExportMeta(TrainedMeta):
    """An export of a model. `export` is its own run id; files have their SHA-256 by name."""

    files: dict[str, str]
    vocab_size: int
    max_len: int
    export: str | None = None
    checkpoint: dict[str, Any] | None = None


class ListsMeta(Meta):
    """Lists of a model for users, which batch_recommend and train_two_tower write; `users` is the subset, null for all."""

    id_types: IdTypes
    dataset: str
    history: str
    filter_seen: bool
    top_k: int
    model: str
    model_run_id: str
    export: str | None = None
    checkpoint: dict[str, Any] | None = None
    users: list[str] | str | None = None
    available: int | None = Field(None, description="items that may be recommended")
    counts: dict[str, int] = Field({})
    settings: dict[str, Any] = Field({})


class SimilarItemsMeta(Meta):
    """Similar items, which item_similarity writes; the method is item_cf or swing."""

    id_types: IdTypes
    dataset: str
    vocabulary: Vocabulary
    method: str
    history: str
    counts: dict[str, int] = Field({})
    settings: dict[str, Any] = Field({})


class MergedSource(Part):
    """A version that candidates were made from."""

    run_id: str
    kind: str
    weight: float


class CandidateCounts(Part):
    """Users with a row, users without any candidate, and users with a list of each source."""

    users: int
    empty: int
    sources: dict[str, int]


class CandidatesMeta(Meta):
    """Merged lists of several sources, which build_candidates writes; sources by name, as they were merged."""

    id_types: IdTypes
    dataset: str
    history: str
    filter_seen: bool
    top_n: int
    sources: dict[str, MergedSource]
    counts: CandidateCounts | None = None
    settings: dict[str, Any] = Field({})


class SourceMeta(Meta):
    """What can be a source of candidates: similar items, or lists."""

    dataset: str | None = None
    history: str | None = None
    method: str | None = Field(None, description="of similar items: item_cf or swing")


class EvaluationMeta(Meta):
    """An evaluation, beside its metrics.json; sources say what each result was made from."""

    dataset: str
    split: str
    sources: dict[str, dict[str, Any]]
    settings: dict[str, Any] = Field({})
