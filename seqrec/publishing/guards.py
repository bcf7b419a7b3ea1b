"""Checks that stop a publication before anything is staged.

A guard is a function that returns nothing or a number that it counted, and raises a UserError that names the table, the share and
the setting that would let it pass. The limit of a new guard is a field of `settings.publish.Guards`.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.settings.publish import Guards
from seqrec.storage.metadata import ListsMeta
from seqrec.stores.checks import is_finite
from seqrec.tables import io

COUNTED_AS = {"recommendations": "users"}  # tables whose number of rows has another name in the counts of a meta.json


def check_history(meta: ListsMeta, *, path: str, limits: Guards) -> None:
    """Raise UserError for lists of histories without the newest events, which may have items that users had."""
    if meta.history != "full" and not limits.any_history:
        raise UserError(
            f"{path} has lists of history={meta.history}, which leaves out what users had last, for evaluation: publish lists of "
            "history=full, or set guards.any_history=true if that is meant"
        )


def check_rows(table: DataFrame, meta: ListsMeta, name: str, *, path: str) -> None:
    """Act: raise UserError if a table hasn't the number of rows that its version's meta.json records.

    That happens if one of its files is missing, empty or of another run.
    """
    recorded = meta.tables[name].rows if name in meta.tables else None
    counted = meta.counts.get(COUNTED_AS.get(name, name))
    wanted = [number for number in (recorded, counted) if number is not None]
    rows = table.count() if wanted else 0
    if any(rows != number for number in wanted):
        raise UserError(
            f"{path} has {rows} rows, and its version's meta.json says {' and '.join(map(str, dict.fromkeys(wanted)))}: parts of "
            f"it are gone or another run's; publish another version, or run batch_recommend again"
        )


def full_length(top_k: int, *, available: int | None, items: int | None) -> int:
    """The length of a full list: top_k, and at most the number of items that may be recommended or, if unknown, of all items.

    >>> full_length(100, available=7, items=50), full_length(100, available=None, items=50)
    (7, 50)
    """
    most = items if available is None else available
    return top_k if most is None else min(top_k, most)


def check_recommendations(
    table: DataFrame, *, path: str, previous: int | None, wanted: int, limits: Guards, partial: bool
) -> int:
    """Act: the number of users, if the table may be published.

    `previous` is the number of users of the last publication, None if it isn't known; `wanted` is the length of a full list.
    Raises UserError for no users, repeated users, a score that isn't finite, and, unless partial, for the loss of more than
    the share max_user_loss of the previous users, and for shares of empty, short (less than half of a full one) and popular
    lists above their limits.
    """
    io.assert_unique(table, key="user_id", path=path)
    scores_fit = F.forall("items", lambda entry: is_finite(entry["score"]))
    length = F.coalesce(F.size("items"), F.lit(0))
    counts = table.agg(
        F.count("*").alias("users"),
        F.count_if(F.col("source") == "popular").alias("popular"),
        F.count_if(length < 1).alias("empty"),
        F.count_if(2 * length < wanted).alias("short"),
        F.count_if(~scores_fit).alias("not_finite"),
        F.min(F.when(~scores_fit, F.col("user_id"))).alias("example"),
    ).first()
    assert counts is not None
    users = int(counts["users"])
    if not users:
        raise UserError(f"{path} holds no users to publish")
    if counts["not_finite"]:
        raise UserError(f"{path}: {counts['not_finite']} users have scores that aren't finite, e.g. user {counts['example']!r}")
    if partial:
        return users
    if previous is not None and users < (1 - limits.max_user_loss) * previous:
        raise UserError(
            f"{path} has {users} users, the last publication {previous}: more than guards.max_user_loss={limits.max_user_loss} "
            f"of them are gone; raise it if that is meant"
        )
    _check_shares(counts.asDict(), users, path, wanted, limits)
    return users


def _check_shares(counts: dict[str, int], users: int, path: str, wanted: int, limits: Guards) -> None:
    """Raise UserError if too many users get an empty list, a short list, or the popular list."""
    lists = {
        "max_empty_share": (counts["empty"], "an empty list"),
        "max_short_share": (counts["short"], f"less than half of the {wanted} items that a full list has"),
        "max_popular_share": (counts["popular"], "the popular list"),
    }
    for key, (number, what) in lists.items():
        limit = getattr(limits, key)
        if number > limit * users:
            excess = f"{number} of {users} users get {what}, more than guards.{key}={limit}"
            raise UserError(f"{path}: {excess}; raise it if that is meant")
