"""What stops a publication before anything is staged."""

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.settings.publish import Guards
from seqrec.stores.checks import finite_value
from seqrec.tables import io

COUNTED_AS = {"recommendations": "users"}  # tables whose rows meta["counts"] has under another name


def check_rows(table: DataFrame, meta: dict[str, Any], name: str, *, path: str) -> None:
    """Act: raise UserError if a table of a version has other rows than the version's meta.json says.

    That is what a part that is gone, empty or another run's looks like.
    """
    said = (meta.get("tables", {}).get(name, {}).get("rows"), meta.get("counts", {}).get(COUNTED_AS.get(name, name)))
    wanted = [int(rows) for rows in said if rows is not None]
    rows = table.count() if wanted else 0
    if any(rows != number for number in wanted):
        raise UserError(
            f"{path} has {rows} rows, and its version's meta.json says {' and '.join(map(str, dict.fromkeys(wanted)))}: parts of "
            f"it are gone or another run's; publish another version, or run batch_recommend again"
        )


def full_length(meta: dict[str, Any]) -> int | None:
    """How long a version's lists are where nothing is left out: top_k, or the items there are; None if meta.json doesn't say.

    >>> full_length({"top_k": 100, "available": 7, "counts": {"item_embeddings": 50}})
    7
    """
    if "top_k" not in meta:
        return None
    most = meta.get("available", meta.get("counts", {}).get("item_embeddings"))
    return int(meta["top_k"]) if most is None else min(int(meta["top_k"]), int(most))


def check_recommendations(
    table: DataFrame, *, path: str, previous: int | None, wanted: int | None, limits: Guards, partial: bool
) -> int:
    """Act: the number of users, if the table may be published.

    Previous is the number of users of the last publication, wanted the length of a full list, None where they aren't known.
    Raises UserError for no users, repeated users, a score that isn't finite, and, unless partial, for the loss of more than
    the share max_user_loss of the previous users, and for shares of empty, short (less than half of a full one) and popular
    lists above their limits.
    """
    io.assert_unique(table, key="user_id", path=path)
    scores_fit = F.forall("items", lambda item: finite_value(item["score"]))
    length = F.coalesce(F.size("items"), F.lit(0))
    found = table.agg(
        F.count("*").alias("users"),
        F.count_if(F.col("source") == "popular").alias("popular"),
        F.count_if(length < 1).alias("empty"),
        F.count_if(2 * length < (wanted or 0)).alias("short"),
        F.count_if(~scores_fit).alias("not_finite"),
        F.min(F.when(~scores_fit, F.col("user_id"))).alias("example"),
    ).first()
    assert found is not None
    users = int(found["users"])
    if not users:
        raise UserError(f"{path} holds no users to publish")
    if found["not_finite"]:
        raise UserError(f"{path}: {found['not_finite']} users have scores that aren't finite, e.g. user {found['example']!r}")
    if partial:
        return users
    if previous is not None and users < (1 - limits.max_user_loss) * previous:
        raise UserError(
            f"{path} has {users} users, the last publication {previous}: more than guards.max_user_loss={limits.max_user_loss} "
            f"of them are gone; raise it if that is meant"
        )
    _check_shares(found.asDict(), users, path, wanted, limits)
    return users


def _check_shares(counts: dict[str, int], users: int, path: str, wanted: int | None, limits: Guards) -> None:
    lists = {
        "max_empty_share": (counts["empty"], "an empty list"),
        "max_short_share": (counts["short"], f"less than half of the {wanted} items that a full list has"),
        "max_popular_share": (counts["popular"], "the popular list"),
    }
    for key, (number, what) in lists.items():
        limit = getattr(limits, key)
        if number > limit * users:
            said = f"{number} of {users} users get {what}, more than guards.{key}={limit}"
            raise UserError(f"{path}: {said}; raise it if that is meant")
