"""How lists are put in order again, after scoring."""

from typing import Any, Literal

from pydantic import Field, StrictBool, model_validator

from seqrec.command.config import Strict
from seqrec.errors import UserError
from seqrec.reranking.rules import Boost, Cap, Quota, Rules
from seqrec.settings import ListLength, Path, Positive, Share


class RerankItems(Strict):
    """A table of items, with the columns that rules name."""

    path: str | None = Field(
        None, min_length=1, description="a file of items (CSV, JSON lines, Parquet), or build_features' folder, for the columns"
    )
    id: str | None = Field(None, min_length=1, description="its column of the items' ids; null: found by its name")
    delimiter: Path = Field("|", description="between the values of a text column, such as Drama|War")


class RerankCap(Strict):
    """At most so many items of a value."""

    column: Path | list[Path] = Field([], description="item columns, such as genres or seller, of whose values a list has few")
    most: Positive | list[Positive] | None = Field(None, description="items of a list that share a value; one number a column")


class RerankQuota(Strict):
    """At least so many items of a kind; one of equals and minimum says which."""

    column: Path = Field(description="item column")
    least: Positive = Field(description="items of a list that count, if so many are among the pool")
    equals: str | StrictBool | None = Field(None, description="items count that have this value")
    minimum: float | None = Field(None, description="items count whose number is at least this")

    def rule(self, name: str) -> Quota:
        """The quota of this name; UserError for settings that don't fit."""
        equals = str(self.equals).lower() if isinstance(self.equals, bool) else self.equals
        return Quota(name=name, column=self.column, least=self.least, equals=equals, minimum=self.minimum)


class Rerank(Strict):
    """How lists are put in order again; the defaults leave them as they are."""

    method: Literal["none", "mmr"] = Field("none", description="mmr: maximal marginal relevance, by item vectors")
    mmr_lambda: Share = Field(0.7, description="of mmr: the share of relevance, 1; 0 is diversity alone")
    items: RerankItems = RerankItems()
    cap: RerankCap = RerankCap()
    quotas: dict[str, RerankQuota | None] = Field({}, description="quotas.NAME.column, .least, and .equals or .minimum")
    boosts: dict[str, float] = Field(
        {}, description="boosts.COLUMN=WEIGHT adds weight * value, both score and value scaled from 0 to 1, to the order"
    )
    places: ListLength | None = Field(20, description="first places, which rules hold in; others follow by score; null: all")
    pool: ListLength | None = Field(
        None,
        description="best items of a user that are chosen among; null: 5 for each of these places, with a cap 25; at least top_k",
    )
    fill: Literal["none", "popular"] = Field("none", description="popular: popular items fill up lists that rules leave short")

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, given: Any) -> Any:
        """The table of items was one key, with two beside it."""
        old = {"items": "path", "item_key": "id", "delimiter": "delimiter"}
        for name, new in old.items() if isinstance(given, dict) else ():
            if name in given and not (name == "items" and isinstance(given[name], dict | RerankItems)):
                raise ValueError(f"rerank.{name} is called rerank.items.{new} now: write rerank.items.{new}={given[name]}")
        return given

    @model_validator(mode="after")
    def _rules_that_fit(self) -> "Rerank":
        """Rules are checked by `reranking.rules`; a number of caps for each column."""
        try:
            self._build()
        except UserError as error:
            raise ValueError(str(error)) from None
        self._refuse_idle()
        return self

    def _refuse_idle(self) -> None:
        """Raise ValueError for keys without an effect; method=none, if it is set, switches those of mmr off."""
        fields = type(self).model_fields
        changed = [name for name in ("mmr_lambda", "places", "pool") if getattr(self, name) != fields[name].default]
        if "method" in self.model_fields_set and self.method == "none":
            return
        if "mmr_lambda" in changed and self.method != "mmr":
            raise ValueError(f"mmr_lambda={self.mmr_lambda} has no effect without rerank.method=mmr: set both, or neither")
        if changed and self.rules() is None:
            verb = "has" if len(changed) == 1 else "have"
            raise ValueError(
                f"{' and '.join(changed)} {verb} no effect without a rule: set rerank.method=mmr, a cap, a quota, a boost or fill"
            )

    def rules(self) -> Rules | None:
        """What is wanted of lists; None if they stay as they are."""
        rules = self._build()
        return rules if rules.columns or rules.mmr_lambda is not None or rules.fill else None

    def _build(self) -> Rules:
        """The rules; UserError for settings that don't fit."""
        quotas = {name: quota for name, quota in self.quotas.items() if quota is not None}
        return Rules(
            mmr_lambda=self.mmr_lambda if self.method == "mmr" else None,
            items=self.items.path,
            item_key=self.items.id,
            delimiter=self.items.delimiter,
            caps=self._caps(),
            quotas=[quota.rule(name) for name, quota in quotas.items()],
            boosts=[Boost(column, weight) for column, weight in self.boosts.items()],
            places=self.places,
            pool=self.pool,
            fill=self.fill == "popular",
        )

    def _caps(self) -> list[Cap]:
        """A cap for each column; UserError unless there is a number for each."""
        columns = [self.cap.column] if isinstance(self.cap.column, str) else self.cap.column
        numbers = self.cap.most if isinstance(self.cap.most, list) else [] if self.cap.most is None else [self.cap.most]
        numbers = numbers * len(columns) if len(numbers) == 1 and columns else numbers
        if len(numbers) != len(columns):
            raise UserError(f"cap.column={self.cap.column} and cap.most={self.cap.most}: set both, a number for each column")
        return [Cap(column, most) for column, most in zip(columns, numbers, strict=True)]
