"""The settings of evaluate."""

from typing import Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import ListLength, Path, Positive, Seed, checkpoint_read
from seqrec.settings.files import HeadedTable

SAVED = 10  # items of a saved list where nothing else is said
SEGMENTS = ("history", "popularity")  # what needs no table of users
FACTS = ("items.path", "vectors", "users.path", "users.table")  # keys of what segments and lists are described by


class DescribedItems(Strict):
    """A table of items, of whose genres the diversity of lists is measured."""

    path: str | None = Field(
        None, description="a file of items (CSV, JSON lines, Parquet), or build_features' folder; null: no diversity by genre"
    )
    id: str | None = Field(None, min_length=1, description="its column of the items' ids; null: found by its name")
    genres: Path = Field("genres", description="its column of the genres, or of another property: text or lists of text")
    delimiter: Path = Field("|", description="between the genres of a column that is text, as in A|B")


class DescribedUsers(HeadedTable):
    """A table of users, whose columns are segments: a file, or build_features' folder."""

    id: Path = Field("user_id", description="its column of the users' ids")


class Evaluate(Strict):
    """A model or a scored table against held-out items."""

    data: Path = Field(description="folder of the dataset")
    model: str | None = Field(None, description="folder of the model; null: table or the baselines alone")
    onnx: bool = Field(
        False, description="evaluate the current export of model, or MODEL/exports/RUN_ID, instead of a checkpoint"
    )
    checkpoint: Path = Field("best", description="best, last, or the path of a checkpoint")
    table: str | None = Field(None, description="output of batch_recommend with this split's history; instead of model")
    candidates: str | None = Field(None, description="output of build_candidates with this split's history; instead of model")
    compared: dict[str, Path | None] = Field(
        {},
        description="further lists of the same users: compared.NAME is an output of batch_recommend or build_candidates",
    )
    items: DescribedItems = DescribedItems()
    vectors: Path | None = Field(
        None,
        description="folder of embed_items, of a model or of lists, or a table of item_id and embedding, by whose vectors the "
        "diversity of lists is measured; null: the item embeddings of model, or those beside table",
    )
    segments: list[Path] = Field(
        [], description="groups of users to measure apart: history, popularity (of the targets), or columns of users.path"
    )
    users: DescribedUsers = DescribedUsers()
    cutoffs: list[Positive] = Field([1, 5, 10, 20, 50, 100], min_length=1, description="places down to which lists are measured")
    output: str | None = Field(None, description="folder for metrics.json and predictions; null: the screen alone")
    split: Literal["valid", "test"] = Field("test", description="valid or test")
    sample_users: Positive | None = Field(None, description="a seeded sample of that many users; null: all")
    save_predictions: bool = Field(False, description="write the predictions beside the targets to output")
    predictions_k: ListLength = Field(SAVED, description="items of each list that save_predictions writes")
    popularity: bool = Field(False, description="also evaluate popularity")
    markov: bool = Field(False, description="also evaluate first-order Markov")
    batch_size: Positive = Field(256, description="most users in a run of the encoder and in a product with the item matrix")
    block_items: Positive = Field(16384, description="items in a block of the catalogue; bounds the memory")
    seed: Seed = Field(42, description="of the sample")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        model = () if self.table or self.candidates else ("model/exports",) if self.onnx else ("model",)
        checkpoint = checkpoint_read(self.checkpoint) if model == ("model",) else ()
        return ("data", *model, *checkpoint, "table", "candidates", "compared.*", *FACTS)

    def writes(self) -> str | None:
        return "output" if self.output else None

    @model_validator(mode="after")
    def _something_to_do(self) -> "Evaluate":
        """There is something to evaluate, and table and candidates exclude each other."""
        lists = self.model or self.table or self.candidates
        if not (lists or self.popularity or self.markov):
            raise ValueError("nothing to evaluate: set model, table, candidates, popularity or markov")
        if self.save_predictions and not (self.output and lists):
            raise ValueError("save_predictions needs output=FOLDER, and a model, a table or candidates")
        if self.predictions_k != SAVED and not self.save_predictions:
            raise ValueError("predictions_k says how many items save_predictions=true writes: set that too")
        if self.table and self.candidates:
            raise ValueError("table and candidates are two things to evaluate: set one of them to null")
        if any(self.compared.values()) and not lists:
            raise ValueError("compared needs what is compared with: set model, table or candidates")
        if taken := sorted({"popularity", "markov"} & self.compared.keys()):
            raise ValueError(f"compared.{taken[0]}: a baseline has that name, take another")
        if self.onnx and self.model is None:
            raise ValueError("onnx=true needs model=FOLDER")
        return self

    @model_validator(mode="after")
    def _segments(self) -> "Evaluate":
        """Segments are named once; columns need a table of users, and that needs columns."""
        columns = [name for name in self.segments if name not in SEGMENTS]
        if repeated := [name for name in self.segments if self.segments.count(name) > 1]:
            raise ValueError(f"segments names {repeated[0]} twice: name it once")
        if columns and self.users.place is None:
            built_in = " and ".join(SEGMENTS)
            raise ValueError(f"segments={columns[0]} is a column of a table of users: set users.path=FILE, or take {built_in}")
        if ids := [name for name in columns if name in ("user_id", self.users.id)]:
            raise ValueError(f"segments={ids[0]} is the id of a user, a group for each: name another column")
        if self.users.place is not None and not columns:
            raise ValueError("users.path has the columns that segments=[…] names: name one of them there, too")
        return self
