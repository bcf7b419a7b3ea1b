"""Which column of a table of ratings is the user, the item, the rating and the time, by the names of the columns.

What is chosen by a name has to look like it: a column of users in which no value is there twice, or a rating that is text, is
refused. Where several columns could be one thing, all of them are named, with some of their values, and nothing is chosen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from seqrec.dataset.column_facts import MOST, ColumnFacts, is_number, time_form
from seqrec.dataset.role_names import (
    NO_IDS,
    ORDER_WORDS,
    OTHER_TIMES,
    RATINGS,
    TIME_WORDS,
    best_named,
    may_be_id,
    plain,
    words,
)
from seqrec.errors import UserError

NOUNS = {"user_id": "user", "item_id": "item", "rating": "rating", "timestamp": "time", "items": "list of items"}
NO_TIME = "no column looks like a time: the order of the lines counts"
NO_RATING = "no column of a known name: every event counts"
UNIQUE = 0.95  # distinct values in a value: what is counted approximately is off by some percent
FEW = 100  # rows: with fewer, items that are all different are only a small sample


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The column of a role, None where there is none, and why."""

    role: str
    column: str | None
    why: str


class Pool:
    """The columns that have no role yet, by name, and the choices made.

    `count_all` gives, of a column of the whole table, the number of distinct values and of values.
    """

    def __init__(
        self,
        facts: Sequence[ColumnFacts],
        choices: Sequence[Choice],
        *,
        lists: Sequence[str],
        count_all: Callable[[str], tuple[int, int]],
    ) -> None:
        taken = {choice.column for choice in choices}
        self.facts = {fact.name: fact for fact in facts if fact.name not in taken}
        self.choices: list[Choice] = list(choices)
        self.lists = lists
        self.count_all = count_all

    def is_unique(self, fact: ColumnFacts) -> bool:
        """Whether hardly any value of a column is there twice in the whole table."""
        if not fact.is_unique:
            return False
        distinct, values = self.count_all(fact.name)
        return distinct >= UNIQUE * values

    def choose(self, role: str, column: str | None, why: str) -> None:
        """Give a column a role."""
        self.facts.pop(column or "", None)
        self.choices.append(Choice(role=role, column=column, why=why))


def choose_user_and_list(pool: Pool, roles: Sequence[str]) -> None:
    """Choose the user, and a list of items where there is one, as far as they are among the roles.

    Raises UserError where a name and its values don't agree, or where several columns could be one thing.
    """
    listed = _list_column(pool, or_item="item_id" in roles) if "items" in roles else None
    if "user_id" in roles:
        neither = "item_id" in roles and not best_named(list(pool.facts), "item_id") and not pool.lists
        also = ", nor for the item, input.columns.item_id" if neither else ""
        _choose_id(pool, "user_id", also=also, once=listed is not None)
    if listed is not None:
        pool.choose("items", *listed)


def choose_columns(pool: Pool, roles: Sequence[str]) -> None:
    """Choose item, rating and time of a table of one row a rating, as far as they are among the roles.

    Raises UserError where a name and its values don't agree, or where several columns could be one thing.
    """
    if "item_id" in roles:
        _choose_id(pool, "item_id")
    if "rating" in roles:
        _choose_rating(pool)
    if "timestamp" in roles:
        _choose_time(pool)


def refuse(role: str, candidates: Sequence[ColumnFacts], reason: str) -> NoReturn:
    """Raise UserError: why a role is open, the columns that it could be, and the key that says it."""
    could = "; ".join(fact.shown() for fact in candidates)
    null = {"timestamp": ", or to null for the order of the lines", "rating": ", or to null where there is none"}.get(role, "")
    raise UserError(f"{reason}{f'; it could be {could}' if could else ''}: set input.columns.{role} to the right one{null}")


def _choose_id(pool: Pool, role: str, *, also: str = "", once: bool = False) -> None:
    """Choose the user or the item: the best known name, else the only column whose values repeat as ids do.

    With `once`, each may be there once, as users are where a row has all items of one.
    """
    tiers = [[pool.facts[name] for name in tier] for tier in best_named(list(pool.facts), role)]
    noun = NOUNS[role]
    if not tiers:
        others = [fact for fact in pool.facts.values() if _is_like_ids(fact)]
        if role == "item_id" and len(others) == 1:
            pool.choose(role, others[0].name, "no known name, but the only column left whose values repeat as ids do")
            return
        names = ", ".join(name or "(no name)" for name in pool.facts) or "none"
        refuse(role, others, f"no column has a name known for the {noun}{also} (left are {names})")
    best, others = tiers[0], [fact for tier in tiers[1:] for fact in tier]
    if len(best) > 1:
        refuse(role, best, f"several columns have a name known for the {noun}")
    fact = best[0]
    if fact.is_sparse:
        share = 1 - fact.values / fact.rows
        refuse(role, [fact, *others], f"the {noun} would be {fact.name}, but {share:.0%} of its rows are empty")
    if not once and fact.rows >= (FEW if role == "item_id" else 0) and pool.is_unique(fact):
        rest = [*others, *(other for other in pool.facts.values() if other not in [fact, *others] and _is_like_ids(other))]
        said = f"the {noun} would be {fact.name}, but hardly any value is there twice"
        refuse(role, [fact, *rest], f"{said}, as in a number of the row")
    beside = f"; {' and '.join(other.name for other in others)} stays unused" if others else ""
    pool.choose(role, fact.name, f"a known name{beside}")


def _is_like_ids(fact: ColumnFacts) -> bool:
    """Whether a column without a known name could hold ids, by its name and its values."""
    odd = fact.is_unique or fact.is_fractional or fact.is_sparse or fact.is_date or fact.is_rating or fact.lists >= MOST
    return may_be_id(fact.name) and not odd and fact.values > 0


def _list_column(pool: Pool, *, or_item: bool) -> tuple[str, str] | None:
    """The column with a user's items and why, where there is one and no column of single items."""
    if or_item and any(pool.facts[tier[0]].lists < MOST for tier in best_named(list(pool.facts), "item_id")):
        return None
    is_list = {name: name in pool.lists or fact.lists >= 0.5 for name, fact in pool.facts.items()}
    known = [name for tier in best_named(list(pool.facts), "items") for name in tier if is_list[name]]
    others = [name for name in pool.facts if name in pool.lists and not words(name) & NO_IDS]
    candidates = known[:1] or others
    if len(candidates) > 1:
        refuse("items", [pool.facts[name] for name in candidates], "several columns hold lists")
    return (candidates[0], "a known name, and lists" if known else "the only column with lists") if candidates else None


def _choose_rating(pool: Pool) -> None:
    """Choose the rating by a known name; other numbers than ratings are no ratings for that."""
    for tier in best_named(list(pool.facts), "rating"):
        facts = [pool.facts[name] for name in tier]
        sure = plain(tier[0]) not in RATINGS[-1]
        if len(facts) > 1:
            refuse("rating", facts, "several columns have a name known for the rating")
        if facts[0].is_numeric:
            pool.choose("rating", tier[0], "a known name, and numbers")
            return
        if facts[0].values and sure:
            refuse("rating", facts, "the column with the rating's name holds no numbers")
    pool.choose("rating", None, NO_RATING)


def _choose_time(pool: Pool) -> None:
    """Choose the time: a known name and times; else the only column of dates; else a known name and numbers, as of positions."""
    named = [[pool.facts[name] for name in tier] for tier in best_named(list(pool.facts), "timestamp")]
    for tier in named:
        times = [fact for fact in tier if fact.times >= MOST and not fact.is_sparse]
        if len(times) > 1:
            refuse("timestamp", times, "several columns have a name known for the time")
        if times:
            pool.choose("timestamp", times[0].name, f"a known name, and {times[0].time_form}")
            return
    dated = [fact for fact in pool.facts.values() if _is_dated(fact)]
    numbers = [fact for tier in named for fact in tier if fact.is_numeric and not fact.is_sparse][:1]
    if len(dated) + len(numbers) > 1:
        refuse("timestamp", [*numbers, *dated], "several columns could be the time")
    if dated:
        pool.choose("timestamp", dated[0].name, f"the only column with {dated[0].time_form}")
    elif numbers:
        pool.choose("timestamp", numbers[0].name, "a known name, and numbers in which later ones are larger")
    elif possible := [fact for fact in pool.facts.values() if _may_be_time(fact)]:
        said = "the column with the time's name holds no times" if named else "no column is surely the time"
        refuse("timestamp", possible, said)
    else:
        pool.choose("timestamp", None, NO_TIME)


def _is_dated(fact: ColumnFacts) -> bool:
    """Whether a column of an unknown name is a time: dates, or numbers where the name has a word of times."""
    called = words(fact.name)
    return fact.is_time and not fact.is_sparse and not called & OTHER_TIMES and (fact.is_date or bool(called & TIME_WORDS))


def _may_be_time(fact: ColumnFacts) -> bool:
    """Whether the order of the lines may not be taken silently, since a column may be a time or an order."""
    called = words(fact.name)
    by_name = "id" not in called and (bool(called & TIME_WORDS) or (fact.is_numeric and bool(called & ORDER_WORDS)))
    return fact.values > 0 and (by_name or fact.is_time)


def is_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a first row names the columns: no cell is a number or a time, and it names user and item, or one of these follows.

    >>> is_header(["user", "film"], [["1", "2"]]), is_header(["u1", "i7"], [["u2", "i7"]]), is_header(["1", "2"], [["3", "4"]])
    (True, False, False)
    """
    if any(is_number(cell) or time_form(cell) for cell in first):
        return False
    columns = [[cell for cell in column if cell.strip()] for column in zip(*rows_as_wide(rest, len(first)), strict=True)]
    follow = any(
        column and sum(is_number(cell) or time_form(cell) is not None for cell in column) >= MOST * len(column)
        for column in columns
    )
    return follow or all(best_named(first, role) for role in ("user_id", "item_id"))


def rows_as_wide(rows: Sequence[Sequence[str]], width: int) -> list[Sequence[str]]:
    """The rows of a width; those of another are left out."""
    return [row for row in rows if len(row) == width]
