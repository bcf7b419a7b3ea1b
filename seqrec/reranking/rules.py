"""What is wanted of lists beyond their scores, as a configuration or code says it: by columns of a table of items.

    Rules(items="movies.csv", caps=(Cap("genres", 3),), mmr_lambda=0.7)

`item_values.ItemValues` are the columns that rules name, as numbers by the rows of that table.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seqrec.errors import UserError

MOST_POOL = 10_000  # candidates of a user, which are held in memory
POOL_FACTOR = 5  # candidates for each place that rules hold in, where no pool is given
CAPPED_FACTOR = 25  # with a cap, which leaves many of them out
PLACES = 20  # what a user looks at; over all of a long list, a cap soon leaves nothing


@dataclass(frozen=True)
class Cap:
    """At most so many items that share a value of a column: of a genre, a seller, a brand."""

    column: str
    most: int

    def __post_init__(self) -> None:
        """Raises UserError for a limit below 1."""
        if self.most < 1:
            raise UserError(f"a cap of {self.most} items by {self.column}: it takes at least 1; leave such items out by deny")


@dataclass(frozen=True, kw_only=True)
class Quota:
    """At least so many items whose column equals a text, or is a number of at least `minimum`; one of the two is given.

    A column of booleans equals "true" or "false".
    """

    name: str
    column: str
    least: int
    equals: str | None = None
    minimum: float | None = None

    def __post_init__(self) -> None:
        """Raises UserError for a quota that says nothing, or two things."""
        if self.least < 1:
            raise UserError(f"quota {self.name}: least={self.least}, it takes at least 1")
        if (self.equals is None) == (self.minimum is None):
            raise UserError(f"quota {self.name}: give either equals=TEXT or minimum=NUMBER of the column {self.column}")


@dataclass(frozen=True)
class Boost:
    """A number column's share in the order: the weight times its value, which counts from 0 (least) to 1 (greatest)."""

    column: str
    weight: float

    def __post_init__(self) -> None:
        """Raises UserError for a weight that is no number."""
        if not math.isfinite(self.weight):
            raise UserError(f"a boost by {self.column} of {self.weight}: it takes a number")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How lists are put in order again.

    mmr_lambda  the share of relevance against diversity, 1 down to 0; None: no diversity
    items       a file of items, or the folder of build_features, with the columns that rules name
    item_key    its column of the ids; None: it is found
    delimiter   between the values of a column that is text, such as genres
    places      rules hold in the first so many places, the others follow by score; None: in all
    pool        how many of the best items of a user are chosen among; None: 5 for each of these places, with a cap 25, at least a
                list
    fill        whether popular items fill up lists that are too short, under the same rules
    """

    mmr_lambda: float | None = None
    items: str | None = None
    item_key: str | None = None
    delimiter: str = "|"
    caps: Sequence[Cap] = ()
    quotas: Sequence[Quota] = ()
    boosts: Sequence[Boost] = ()
    places: int | None = PLACES
    pool: int | None = None
    fill: bool = False

    def __post_init__(self) -> None:
        """Raises UserError for values out of range, for rules that exclude each other, and for columns without a table."""
        if self.mmr_lambda is not None and not 0 <= self.mmr_lambda <= 1:
            raise UserError(f"mmr_lambda={self.mmr_lambda}: it is the share of relevance, from 0 to 1")
        if self.columns and self.items is None:
            raise UserError(f"rules by {', '.join(self.columns)} need a table of items with these columns: set items=FILE")
        if self.items is not None and not self.columns:
            raise UserError(f"items={self.items}: no cap, quota or boost names a column of it; add one, or leave items out")
        for name, number in (("places", self.places), ("pool", self.pool)):
            if number is not None and not 1 <= number <= MOST_POOL:
                raise UserError(f"{name}={number}: it is from 1 to {MOST_POOL:,}")
        for quota in self.quotas:
            if self.places is not None and quota.least > self.places:
                raise UserError(
                    f"quota {quota.name}: least={quota.least}, and rules hold in the first places={self.places}: lower least, or "
                    f"raise places"
                )
            for cap in self.caps:
                if quota.column == cap.column and quota.equals is not None and quota.least > cap.most:
                    raise UserError(
                        f"quota {quota.name} wants {quota.least} items with {quota.column}={quota.equals}, and the cap allows "
                        f"{cap.most}: lower the one or raise the other"
                    )

    @property
    def columns(self) -> list[str]:
        """The columns that rules name, each once."""
        named = [
            [rule.column for rule in self.caps],
            [rule.column for rule in self.quotas],
            [rule.column for rule in self.boosts],
        ]
        return list(dict.fromkeys(name for names in named for name in names))

    @property
    def number_columns(self) -> set[str]:
        """The columns that count by their numbers: those of boosts and of quotas with a minimum."""
        return {rule.column for rule in self.boosts} | {quota.column for quota in self.quotas if quota.minimum is not None}

    @property
    def is_scored_anew(self) -> bool:
        """Whether final scores are others than the model's."""
        return self.mmr_lambda is not None or any(boost.weight for boost in self.boosts)

    def pool_of(self, top_k: int) -> int:
        """How many candidates a user has for a list of K, at least K; UserError for a K below 1 or beyond MOST_POOL.

        Without a pool it is POOL_FACTOR for each of `places`, with a cap CAPPED_FACTOR, so that the first items of a list are the
        same however long it is.
        """
        if top_k < 1:
            raise UserError(f"k={top_k}: ask for at least 1 item")
        if top_k > MOST_POOL:
            raise UserError(f"{top_k} items: under rules a list has at most {MOST_POOL:,}")
        factor = CAPPED_FACTOR if self.caps else POOL_FACTOR
        return max(top_k, min(factor * (self.places or top_k), MOST_POOL) if self.pool is None else self.pool)
