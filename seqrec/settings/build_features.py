"""The settings of build_features."""

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import History, Path, Positive, Seed, Share
from seqrec.settings.build_sequences import Input
from seqrec.settings.files import HeadedTable
from seqrec.tables.feature_schemas import FEATURE_COLUMNS
from seqrec.tables.input_table import AUTO


class SideTableSettings(HeadedTable):
    """A table of users or items beside the ratings, one row an id."""

    id: str | None = Field(None, description="column of the id; null: user_id or item_id")
    text: list[str] = Field([], description="columns that are kept as they are and are no features, such as a title")
    discrete: list[str] = Field([], description="columns that are discrete features")
    continuous: list[str] = Field([], description="columns that are continuous features: numbers")

    @property
    def columns(self) -> list[str]:
        """All the columns that are kept, but the id."""
        return [*self.text, *self.discrete, *self.continuous]


class Genres(Strict):
    """The genres in the table of items."""

    column: str | None = Field(None, description="column of the genres; null: there is none")
    delimiter: Path = Field("|", description="between the genres of a column that is text, as in A|B")
    columns: list[str] | None = Field(None, description="instead of a column with all of them: columns of 0 and 1, one a genre")
    most: Positive = Field(100, description="most distinct genres; more mean that the delimiter is another")

    @property
    def used(self) -> bool:
        """Whether items have genres."""
        return self.column is not None or self.columns is not None


class Label(Strict):
    """The label of a ranking sample."""

    threshold: float = Field(3.0, description="ratings above are positive (1), below negative (0)")
    equal: Literal["drop", "positive", "negative"] = Field("drop", description="what a rating equal to the threshold is")


class Negatives(Strict):
    """The negatives of matching samples."""

    count: Annotated[int, Field(ge=0)] = Field(4, description="negatives of a training positive")
    redraws: Annotated[int, Field(ge=0)] = Field(
        4, description="further draws of a positive, in place of those that are the user's training positives or repeat"
    )
    power: Annotated[float, Field(ge=0, le=1)] = Field(0.75, description="exponent of an item's count of training events")


PLACES = ("input", "users", "items", "joined.*")
TABLES = tuple(f"{key}.{kind}" for key in PLACES for kind in ("path", "table"))  # keys of what is read


class BuildFeatures(Strict):
    """Ratings, users and items into users, item_catalogue, item_features, ranking_samples and matching_samples."""

    data: Path = Field(description="folder of the dataset: its events say what is held out")
    output: Path = Field(description="folder of the features; each run adds a version")
    input: Input | None = Field(
        None, description="the ratings, with the keys of build_sequences; null: as the dataset's were read"
    )
    users: SideTableSettings = SideTableSettings()
    items: SideTableSettings = SideTableSettings()
    joined: dict[str, SideTableSettings] = Field(
        {}, description="further tables of items, by a name, such as joined.links.path=links.csv joined.links.text=[imdbId]"
    )
    genres: Genres = Genres()
    samples: list[Literal["ranking", "matching"]] = Field(["ranking", "matching"], description="sample tables to write")
    label: Label = Label()
    recent_items: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="newest items of a user that a sample lists")
    negatives: Negatives = Negatives()
    history: History = Field("full", description="the past in users and item_features: full, or the input of valid or test")
    max_bad_share: Share = Field(
        0.01, description="share of unusable ratings, or of values that are no numbers, that is refused above"
    )
    max_user_events: Positive = Field(
        100_000, description="most ratings of a user, which are in memory at once; a user with more (a bot) is refused"
    )
    max_missing_share: Share = Field(0.1, description="share of rated users or items that their tables may lack")
    partitions: Positive | None = Field(None, description="partitions of the work; null: by the rows and the cores")
    seed: Seed = Field(42, description="of the negatives")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        return ("data", *TABLES)

    def writes(self) -> str | None:
        return "output"

    @property
    def side_tables(self) -> dict[str, SideTableSettings]:
        """The tables of users, of items and those joined to items, by the keys that set them."""
        return {"users": self.users, "items": self.items, **{f"joined.{name}": table for name, table in self.joined.items()}}

    @model_validator(mode="after")
    def _readable(self) -> "BuildFeatures":
        """Every table that is used has a path and names for its columns."""
        for key, table in self.side_tables.items():
            if table.place is None and (table.columns or key.startswith("joined.")):
                raise ValueError(f"{key} has no path: set {key}.path=FILE")
            if table.format in (AUTO, "csv") and table.header is False and table.names is None:
                raise ValueError(f"{key}.header=false needs {key}.names=[…], the names of all columns")
        if self.items.place is None and (self.joined or self.genres.used):
            raise ValueError("genres and joined belong to a table of items: set items.path=FILE")
        if self.genres.column is not None and self.genres.columns is not None:
            raise ValueError("genres.column and genres.columns are two ways to give genres: set one of them to null")
        return self

    @model_validator(mode="after")
    def _distinct_names(self) -> "BuildFeatures":
        """No two columns of a table have the same name."""
        tables = self.side_tables.values()
        repeated = [name for name, times in Counter(name for table in tables for name in table.columns).items() if times > 1]
        taken = [*repeated, *(name for table in tables for name in table.columns if name in FEATURE_COLUMNS)]
        if taken:
            raise ValueError(
                f"column {taken[0]} would be twice in a table: take it once, or give it another name by names=[…] "
                f"(names of features are {', '.join(sorted(FEATURE_COLUMNS))})"
            )
        return self
