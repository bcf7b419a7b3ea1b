"""What lies in a list of items and beside it: the fields of its objects, lists of times and ratings, and the time of a row."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from seqrec.dataset.column_facts import MOST
from seqrec.dataset.role_names import best_named
from seqrec.dataset.roles import Pool
from seqrec.errors import UserError

IN_ORDER = "the order in the lists counts"


def choose_in_list(
    pool: Pool, roles: Sequence[str], items: str, *, fields: Mapping[str, Sequence[str]], cells: Mapping[str, Sequence[str]]
) -> None:
    """Choose item_id, rating and timestamp of a table whose column `items` holds lists, as far as they are among the roles.

    fields    of each column that holds lists of objects, the names of their fields; there item_id is one of these
    cells     of each column, a row each

    Raises UserError where the objects have no field of a known name for the item, and where a user's rows have the same list.
    """
    inner = fields.get(items, [])
    if "item_id" in roles and inner:
        tiers = best_named(inner, "item_id")
        if not tiers or len(tiers[0]) > 1:
            raise UserError(f"the objects in {items} have {', '.join(inner)}: set input.columns.item_id to the one of the item")
        pool.choose("item_id", tiers[0][0], f"a known name among the fields of {items}")
    if "rating" in roles:
        rating = _inside_or_beside(pool, inner, "rating")
        pool.choose("rating", rating, f"a known name beside the items of {items}" if rating else "no rating in the lists")
    if "timestamp" in roles:
        time = _inside_or_beside(pool, inner, "timestamp")
        why = f"a known name beside the items of {items}" if time else IN_ORDER
        if time is None and (time := _time_of_rows(pool, items, cells)):
            why = "a known name, and users have several rows"
        pool.choose("timestamp", time, why)


def _inside_or_beside(pool: Pool, inner: Sequence[str], role: str) -> str | None:
    """The field of the objects that has a role, or the column of lists, such as `timestamps`; None without one."""
    lists = [name for name in pool.lists if name in pool.facts]
    tiers = best_named(inner, role) or [[name] for name in lists if best_named([name, name.removesuffix("s")], role)]
    return tiers[0][0] if tiers else None


def _time_of_rows(pool: Pool, items: str, cells: Mapping[str, Sequence[str]]) -> str | None:
    """The column of the rows' times, where users have several rows; None where they have one, so that no order of rows counts."""
    user = next((choice.column for choice in pool.choices if choice.role == "user_id"), None)
    if user is None or user not in cells or items not in cells:
        return None
    lists: defaultdict[str, list[str]] = defaultdict(list)
    for name, cell in zip(cells[user], cells[items], strict=True):
        lists[name].append(cell)
    several = [values for values in lists.values() if len(values) > 1]
    times = [name for tier in best_named(list(pool.facts), "timestamp") for name in tier if pool.facts[name].times >= MOST]
    if not several or not times:
        return None
    if 2 * sum(len(set(values)) == 1 for values in several) > len(several):
        raise UserError(
            f"most users with several rows have the same list in each, in {items}: give one row a user, as drop_duplicates makes "
            "it, or say what to do by input.columns.items and input.columns.timestamp"
        )
    return times[0]
