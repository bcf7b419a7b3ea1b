"""The keys and types of the meta.json of each kind of version; `tables.schemas` has the columns of the tables.

    meta = DatasetMeta.read("/data/dataset/20261101T020000Z-3f2a")
    meta.vocabulary.size, meta.id_types.item

A class names the keys that its readers use. A meta.json may hold more keys, and one that an older release wrote may lack those
that have a default here.
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
    """A vocabulary from which another grew: its hash, and its number of items."""

    hash: str
    size: int


class Vocabulary(Part):
    """The items of a dataset or a model: number, hash, and lineage: the vocabularies it grew from, oldest first, itself last."""

    size: int
    hash: str
    lineage: list[Growth]


class Counts(Part):
    """The counts of a dataset: events by split (all, train, valid, test), users and items as in stats.json."""

    events: dict[str, int]
    users: dict[str, int] = Field({})
    items: dict[str, int] = Field({})
    windows: int = 0


class DatasetSettings(Part):
    """The settings of build_sequences: those that other jobs read are named here; all others are kept too."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", protected_namespaces=())

    input: dict[str, Any] = Field({})
    drop_consecutive_duplicates: bool = False
    split_times: list[str] | None = None
    hold_out: int = 1

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

    def held_from(self, split: str) -> int | None:
        """How many of a user's last events no training may have seen, so that the split is held out; None for a split by time."""
        if self.settings.split_times is not None:
            return None
        later = ("valid", "test")[("valid", "test").index(split) :]
        return self.settings.hold_out * sum(self.counts.events.get(name, 0) > 0 for name in later)


class ItemVectorsMeta(Meta):
    """Vectors of items' texts, which embed_items writes. The method is sentences or terms; the hash is of the model or the words.

    `counts` are items, without_text, repeated, unusable (see `texts.item_texts`), vectors, and unknown: without a known word.
    """

    id_type: IdType
    method: Literal["sentences", "terms"]
    model: str | None
    model_sha256: str
    template: str
    dimension: int
    counts: dict[str, int]
    inputs: list[str] = Field([])
    settings: dict[str, Any] = Field({})


class PreferencesMeta(Meta):
    """Pairs of items that a user took and didn't, which build_preferences writes; `dataset` is the run id of their dataset.

    `counts` are the pairs and the users with any; the pairs of each source; and `without`, the positions at which no item was
    left to reject. `model` and `export` are the run ids of the model that scored, null without one.
    """

    dataset: str
    max_len: int
    model: str | None = None
    export: str | None = None
    counts: dict[str, int]
    settings: dict[str, Any] = Field({})


class TrainedMeta(Meta):
    """The keys about a trained model, in every checkpoint and every export; `run_id` is the training's."""

    name: str
    dataset: str
    held_out: int | None = Field(None, description="of each user's last events, by its dataset; null for a split by time")
    id_types: IdTypes
    vocabulary: Vocabulary
    vocabulary_sha256: str | None = Field(None, description="of its ids, indices and counts")
    users_sha256: str | None = Field(None, description="of the users whose embeddings the model has")


class ExportMeta(TrainedMeta):
    """An export of a model. `export` is the run id of the export; `files` has each file's SHA-256 by name."""

    files: dict[str, str]
    vocab_size: int
    max_len: int
    export: str | None = None
    checkpoint: dict[str, Any] | None = None
    weights_sha256: str | None = Field(None, description="of the checkpoint's architecture, arguments and weights")
    parity: dict[str, float] | None = Field(None, description="the comparison with torch, and the opset")


class TrainedOn(Part):
    """The samples of a ranker: the table, its version's run id, and the rows of each split that have a label."""

    table: str
    run_id: str
    dataset: str | None = None
    history: str | None = None
    rows: dict[str, int] = Field({})

    def has_targets_of(self, split: str) -> bool:
        """Whether the labels that it learned are the items that a split (valid or test) holds out, of most users."""
        return self.table == "ranker_samples" and self.history == split


class TowersMeta(Meta):
    """An export of two towers over features; `run_id` is the training's, `features` that of the features it learned from.

    The columns are those that each tower reads, in order. `parity` has the rows that were compared with torch, by tower, and the
    largest difference; `counts` the items, those of them that the dataset lacks, and those that are never recommended.
    """

    name: str
    dataset: str
    features: str
    id_types: IdTypes
    dim: int
    user_columns: list[str]
    item_columns: list[str]
    files: dict[str, str]
    export: str
    checkpoint: dict[str, Any]
    weights_sha256: str
    parity: dict[str, float]
    counts: dict[str, int]
    settings: dict[str, Any] = Field({})


class SecondStageMeta(Part):
    """What ranked the lists: run ids of a ranker, of candidates and of features, the ranker's method and samples, the sources."""

    ranker: str
    method: str
    samples: TrainedOn | None = None
    candidates: str
    features: str
    sources: list[str]

    @property
    def name(self) -> str:
        """What the lists say of the ranker, such as `lightgbm 20261101T020000Z-3f2a`."""
        return f"{self.method} {self.ranker}"


class ExplanationMeta(Part):
    """How the items of lists are explained: by at most so many items of the history, and in which way."""

    most: int
    by: str


class ListsMeta(Meta):
    """A model's lists for users, which batch_recommend and train_two_tower write; `users` is the subset, null for all users."""

    id_types: IdTypes
    dataset: str
    history: str
    filter_seen: bool
    top_k: int
    horizon: int | None = Field(None, description="next items a user, where there are any")
    model: str
    model_run_id: str
    export: str | None = None
    checkpoint: dict[str, Any] | None = None
    users: list[str] | str | None = None
    available: int | None = Field(None, description="items that may be recommended")
    second_stage: SecondStageMeta | None = None
    reranked: bool = Field(False, description="whether items have the model's score beside the score that orders them")
    explanation: ExplanationMeta | None = None
    counts: dict[str, int] = Field({})
    settings: dict[str, Any] = Field({})


class EvaluationMeta(Meta):
    """An evaluation, beside its metrics.json; sources say what each result was made from."""

    dataset: str
    split: str
    sources: dict[str, dict[str, Any]]
    settings: dict[str, Any] = Field({})
