"""The settings of build_sequences."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import Path, Positive, Seed, Share
from seqrec.settings.files import HeadedTable, TableFile
from seqrec.tables.input_table import AUTO, RatingColumns, WantedTable

Task = Literal["train_val_test", "train_val", "test", "inference"]

ROW_GROUP_BYTES = 64 * 2**20  # half of Parquet's block size, so that a file is one row group


class Columns(Strict):
    """Names of the input's columns; `auto` is found by names and values."""

    user_id: str = Field(AUTO, description="column of the user")
    item_id: str = Field(AUTO, description="column of the item")
    rating: str | None = Field(AUTO, description="column of the rating; null if there is none")
    timestamp: str | None = Field(AUTO, description="column of the time; null: the order of lines in the one input file")
    order: str | None = Field(None, description="column that orders events of the same timestamp")
    items: str | None = Field(AUTO, description="column with a user's items in order, for inputs of one row a user")


class Input(TableFile):
    """Where the ratings are and how to read them."""

    path: str | None = Field(None, description="file, folder or pattern of the ratings")
    columns: Columns = Columns()
    id_type: Literal["auto", "bigint", "string"] = Field("auto", description="auto: bigint where all ids parse without loss")
    time_unit: Literal["auto", "s", "ms", "us", "ns", "iso"] = Field(
        "auto", description="epoch seconds, milli-, micro- or nanoseconds, or ISO 8601"
    )
    time_format: str | list[str] = Field(
        AUTO, description="one or several patterns of dates in Spark's datetime letters, such as d/M/yyyy or yyyyMMdd"
    )
    time_range: list[str] | Literal["auto"] | None = Field(
        AUTO, description="[FIRST, LAST] that are taken; auto: without times 10 years off the others or in the future; null: all"
    )

    @property
    def wanted_ratings(self) -> WantedTable:
        """What is said of the file of ratings."""
        table = self.wanted("input")
        assert table is not None  # see _somewhere
        return table

    @model_validator(mode="after")
    def _somewhere(self) -> "Input":
        """The ratings are somewhere."""
        if not self.place:
            raise ValueError("path says where the ratings are: set input.path=FILE, or input.table=NAME for a table of Spark's")
        return self

    @property
    def time_patterns(self) -> tuple[str, ...]:
        """The patterns of dates; empty where they are found."""
        patterns = self.time_format if isinstance(self.time_format, list) else [self.time_format]
        return () if patterns == [AUTO] else tuple(patterns)

    @model_validator(mode="after")
    def _one_way_to_read_times(self) -> "Input":
        """Times have a unit or a pattern; a range has two ends."""
        if self.time_patterns and self.time_unit != AUTO:
            raise ValueError(f"time_format and time_unit={self.time_unit} are two ways to read times: set one of them to auto")
        if isinstance(self.time_range, list) and len(self.time_range) != 2:
            raise ValueError(f"time_range takes the first and the last time, got {len(self.time_range)}")
        return self

    @property
    def wanted_columns(self) -> RatingColumns:
        """The names of the columns, AUTO where none is said."""
        names = self.columns
        return RatingColumns(
            user_id=names.user_id,
            item_id=names.item_id,
            rating=names.rating,
            timestamp=names.timestamp,
            order=names.order,
            items=names.items,
        )


class CatalogueFile(HeadedTable):
    """A table with a row for each item that there is."""

    path: str | None = Field(
        None, description="table of all items; those that nobody rated come last in the vocabulary; null: there is none"
    )
    id: str | None = Field(None, description="column of the item's id; null: found by its name")

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        """A path alone is enough: catalogue=movies.csv."""
        return {"path": value} if isinstance(value, str) else value


class KCore(Strict):
    """Least numbers of events, iterated until stable."""

    users: Annotated[int, Field(ge=0)] = Field(5, description="least events of a user; 0 or 1 is off")
    items: Annotated[int, Field(ge=0)] = Field(5, description="least events of an item; 0 or 1 is off")


class BuildSequences(Strict):
    """Ratings into a dataset: items, events, sequences, windows, valid, test and stats.json."""

    input: Input
    data: Path = Field(description="folder of the dataset; each run adds a version")
    task: Task = Field("train_val_test", description="which of a user's last events are held out")
    hold_out: Positive = Field(1, description="how many last events of a user are valid, and how many test, as the task says")
    vocabulary: str | None = Field(None, description="folder of a dataset whose vocabulary is extended, never renumbered")
    catalogue: CatalogueFile = CatalogueFile()
    min_rating: float | None = Field(None, description="events rated below are not learned from")
    k_core: KCore = KCore()
    drop_consecutive_duplicates: bool = Field(False, description="keep the first of equal neighbours in a history")
    max_bad_share: Share = Field(0.01, description="share of unparsable and null rows above which the job fails")
    max_duplicate_share: Share = Field(1.0, description="share of exact duplicates above which the job fails")
    max_user_events: Positive = Field(
        100_000, description="most ratings of a user, which are in memory at once; a user with more (a bot) is refused"
    )
    split_times: list[str] | None = Field(
        None, description="two cuts, ISO 8601 or epoch: all events from the first are valid, from the second test"
    )
    split_users: Share | None = Field(None, description="share of users of whom events are held out; the others train whole")
    max_len: Annotated[int, Field(ge=1, le=4096)] = Field(200, description="longest input of a model")
    max_history: Positive = Field(5000, description="newest items kept in sequences")
    window_stride: Positive | Literal["newest"] | None = Field(
        None,
        description="events between the ends of a user's training windows; null: max_len, so that they cover the history and "
        "hardly overlap; newest: the last window only",
    )
    prop_sliding_window: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="the same step as a share of max_len, as BERT4Rec has it; -1: max_len"
    )
    rows_per_file: Positive = Field(2048, description="most windows in a file (= a row group), what the trainer shuffles by")
    files_multiple: Positive = Field(8, description="the number of window files is a multiple of this: set it to the ranks")
    partitions: Positive | None = Field(None, description="partitions of the work; null: by the rows and the cores")
    seed: Seed = Field(42, description="of every random choice")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        return ("input.path", "input.table", "vocabulary", "catalogue.path", "catalogue.table")

    def writes(self) -> str | None:
        return "data"

    @property
    def stride(self) -> int | None:
        """Events between the ends of two training windows; None: there is the last window only.

        A share is of max_len, rounded down to whole events, and at least one.
        """
        share, stride = self.prop_sliding_window, self.window_stride
        if stride == "newest":
            return None
        if share is None or share == -1:
            return stride or self.max_len
        return max(1, int(share * self.max_len))

    @model_validator(mode="after")
    def _whole_windows(self) -> "BuildSequences":
        """Windows leave no gaps, and a file of them is one row group."""
        if isinstance(self.window_stride, int) and self.window_stride > self.max_len:
            raise ValueError(f"window_stride={self.window_stride} leaves gaps between windows: at most max_len={self.max_len}")
        share = self.prop_sliding_window
        if share is not None and share != -1 and share <= 0:
            raise ValueError(f"prop_sliding_window={share:g} is no step: above 0 up to 1, or -1 for windows that hardly overlap")
        if share is not None and self.window_stride is not None:
            raise ValueError("window_stride and prop_sliding_window are two ways to say one step: set one of them to null")
        size = self.rows_per_file * (self.max_len + 1) * 4
        if size > ROW_GROUP_BYTES:
            rows = ROW_GROUP_BYTES // ((self.max_len + 1) * 4)
            raise ValueError(f"rows_per_file={self.rows_per_file} makes row groups of {size} bytes: at most {rows} rows")
        return self

    @model_validator(mode="after")
    def _one_split(self) -> "BuildSequences":
        """One way to split, that fits the task."""
        if self.split_times is not None and self.task != "train_val_test":
            raise ValueError(f"split_times makes valid and test: task={self.task} needs split_times=null")
        if self.split_users is not None and self.task == "inference":
            raise ValueError("split_users holds events out, task=inference holds none out: set one of them otherwise")
        if self.split_times is not None and self.split_users is not None:
            raise ValueError("split_times and split_users are two ways to split: set one of them to null")
        if self.hold_out > 1 and self.split_times is not None:
            raise ValueError(
                f"split_times holds out all events from the cuts on: hold_out={self.hold_out} needs split_times=null"
            )
        if self.hold_out > 1 and self.task == "inference":
            raise ValueError(f"hold_out={self.hold_out}: task=inference holds no events out: set one of them otherwise")
        if self.split_times is not None and len(self.split_times) != 2:
            raise ValueError(f"split_times takes two cuts, got {len(self.split_times)}")
        if self.task == "test" and self.vocabulary is None:
            raise ValueError("task=test needs vocabulary=FOLDER, the dataset that the model was trained on")
        return self
