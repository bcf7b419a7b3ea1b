"""Which column is which in a file without header, by the places and the values of its columns.

The field's files without header have the user before the item, then the rating and the time. That is a custom, so the values
have to allow it: ids repeat, and are no coordinates; no third column looks like ids of its own; `id_evidence` doesn't say the
reverse. Where the values speak against the custom, nothing is chosen.
"""

from collections.abc import Callable, Mapping, Sequence

from seqrec.dataset.column_facts import ENOUGH, MOST, ColumnFacts, follows_from
from seqrec.dataset.id_evidence import forms_agree, times_agree
from seqrec.dataset.roles import NO_TIME, NOUNS, Pool, refuse
from seqrec.errors import UserError

RICH = 10  # distinct values: with more, a third column may be ids
MATRIX = 10  # columns of numbers on one scale


def choose_by_place(pool: Pool, roles: Sequence[str], cells: Mapping[str, Sequence[str]]) -> None:
    """Choose the columns of these roles; cells are those of each column, by its name.

    Raises UserError where several columns could be one thing, or the values speak against the custom.
    """
    _refuse_matrix(pool)
    if "items" in roles and _choose_list(pool, roles):
        return
    if "timestamp" in roles:
        _choose_time(pool)
    wanted = [role for role in ("user_id", "item_id") if role in roles]
    if wanted:
        _choose_ids(pool, wanted, cells)
    if "rating" in roles:
        _choose_rating(pool, cells)


def _refuse_matrix(pool: Pool) -> None:
    """Raise UserError for a table whose columns are items: many columns of numbers on one scale."""
    scaled = [fact for fact in list(pool.facts.values())[1:] if fact.is_numeric and max(abs(fact.least), abs(fact.most)) <= 100]
    if len(scaled) >= MATRIX and len(scaled) >= 0.9 * (len(pool.facts) - 1):
        raise UserError(
            f"its {len(pool.facts)} columns of numbers look like a matrix, with a row a user and a column an item: write a line "
            "a rating, such as user,item,rating"
        )


def _choose_list(pool: Pool, roles: Sequence[str]) -> bool:
    """Choose the two columns of a table of users and lists of items; whether it is one."""
    lists = [fact for fact in pool.facts.values() if fact.lists >= MOST]
    if len(pool.facts) != 2 or len(lists) != 1 or "user_id" not in roles:
        return False
    pool.choose("items", lists[0].name, "no header; its values are lists")
    choose_user_beside_list(pool)
    return True


def choose_user_beside_list(pool: Pool) -> None:
    """Choose the first column that looks like ids as the user; with a row a user, its values may be all different."""
    plain = [fact for fact in pool.facts.values() if fact.lists < 0.5 and not fact.is_time]
    candidates = _columns_of_ids(plain, wanted=1) or plain
    if not candidates:
        refuse("user_id", [], "there is no header, and no column beside the lists looks like ids")
    pool.choose("user_id", candidates[0].name, "no header; the first column beside the lists that looks like ids")


def _choose_time(pool: Pool) -> None:
    """Choose the one column of dates; without any, the one of epochs."""
    times = [fact for fact in pool.facts.values() if fact.is_time and not fact.is_sparse]
    candidates = [fact for fact in times if fact.is_date] or times
    if len(candidates) > 1:
        refuse("timestamp", candidates, "there is no header, and several columns look like times")
    if candidates:
        pool.choose("timestamp", candidates[0].name, f"no header; its values are {candidates[0].time_form}")
    else:
        pool.choose("timestamp", None, NO_TIME)


def _choose_ids(pool: Pool, roles: Sequence[str], cells: Mapping[str, Sequence[str]]) -> None:
    """Choose the first columns that look like ids; with both roles open, the user is before the item."""
    facts = _columns_of_ids(list(pool.facts.values()), wanted=len(roles))
    first: Sequence[ColumnFacts] = facts[: len(roles)]
    others = facts[len(roles) :]
    lists = [fact.name for fact in pool.facts.values() if fact.lists >= 0.5]
    hint = f" ({' and '.join(lists)} hold lists, which input.columns.items takes)" if lists else ""
    if len(first) < len(roles):
        nouns = " and ".join(NOUNS[role] for role in roles)
        said = f"there is no header, and too few columns look like ids of {nouns}{hint}"
        refuse(roles[-1], list(pool.facts.values()), said)
    if roles[0] == "user_id" and pool.is_unique(first[0]):
        said = f"there is no header, and hardly any value of {first[0].name} is there twice, as those of a user would be{hint}"
        refuse("user_id", list(pool.facts.values()), said)
    rich = max(RICH, 0.3 * min(fact.distinct for fact in first))
    rivals = [
        fact
        for fact in others
        if fact.distinct > rich and not any(follows_from(cells[known.name], cells[fact.name]) for known in first)
    ]
    if rivals:
        refuse(roles[-1], [*first, *rivals], "there is no header, and more columns look like ids than those of user and item")
    why = "no header; the first columns whose values are like ids"
    if len(roles) == 2:
        first, why = _in_order(pool, first, cells)
    for role, fact in zip(roles, first, strict=True):
        pool.choose(role, fact.name, why)


def _columns_of_ids(facts: Sequence[ColumnFacts], *, wanted: int) -> list[ColumnFacts]:
    """The columns that may be ids, in their order; what looks least like it is left out as long as enough are left.

    Numbers on a scale are left out only behind the wanted columns: ids of few users look the same.
    """
    left = [fact for fact in facts if not (fact.is_sparse or fact.is_row_number or fact.lists >= MOST) and fact.values]
    odd: list[Callable[[ColumnFacts], bool]] = [
        lambda fact: fact.is_fractional,
        lambda fact: fact.is_rating and fact in left[wanted:],
        _is_kind,
        lambda fact: fact.rows >= ENOUGH and fact.distinct == 1,
        lambda fact: fact.is_unique,
    ]
    for looks_otherwise in odd:
        kept = [fact for fact in left if not looks_otherwise(fact)]
        left = kept if len(kept) >= wanted else left
    return left


def _is_kind(fact: ColumnFacts) -> bool:
    """Whether a column has a few words again and again, such as the kind of an event."""
    return not fact.is_numeric and fact.distinct <= 5 and fact.values >= 4 * fact.distinct


def _in_order(pool: Pool, pair: Sequence[ColumnFacts], cells: Mapping[str, Sequence[str]]) -> tuple[Sequence[ColumnFacts], str]:
    """User and item, and why, unless the values are against it.

    Without other evidence, a table whose columns aren't user, item, rating and time has to have more users than items.
    """
    first, second = pair
    time = next((choice.column for choice in pool.choices if choice.role == "timestamp"), None)
    forms = forms_agree(cells[first.name], cells[second.name])
    if forms is not None:
        return (pair if forms else (second, first)), "no header; the form of its values"
    bursts = times_agree(cells[first.name], cells[second.name], cells[time]) if time else None
    if bursts:
        return pair, "no header; its place, and users' events come in bursts"
    if bursts is False:
        refuse("user_id", pair, f"there is no header, and the times of {second.name} come in bursts, as those of users do")
    ratings = [fact for fact in pool.facts.values() if fact.is_rating and fact.place > second.place]
    if not (time and ratings) and first.rows >= ENOUGH:
        users, items = (pool.count_all(fact.name)[0] for fact in pair)
        if users < items:
            said = f"there is no header, and {first.name} has fewer values ({users:,}) than {second.name} ({items:,})"
            refuse("user_id", pair, f"{said}, so that either could be the user")
    return pair, "no header; its place, as in most files"


def _choose_rating(pool: Pool, cells: Mapping[str, Sequence[str]]) -> None:
    """Choose the one column of numbers on a scale of ratings; 0 and 1 alone are none beside another, nor is what an item has."""
    ids = [choice.column for choice in pool.choices if choice.role in ("user_id", "item_id") and choice.column in cells]
    scaled = [
        fact
        for fact in pool.facts.values()
        if fact.is_rating and not fact.is_sparse and not any(follows_from(cells[name], cells[fact.name]) for name in ids if name)
    ]
    candidates = [fact for fact in scaled if fact.distinct > 2] or scaled
    if len(candidates) > 1:
        refuse("rating", candidates, "there is no header, and several columns look like ratings")
    if candidates:
        pool.choose("rating", candidates[0].name, f"no header; numbers from {candidates[0].least:g} to {candidates[0].most:g}")
    else:
        pool.choose("rating", None, "no column looks like a rating: every event counts")
