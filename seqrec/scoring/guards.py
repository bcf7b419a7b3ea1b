"""What stops a publication of recommendations before anything is staged."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec import io
from seqrec.errors import UserError
from seqrec.stores.checks import finite_value


def check_recommendations(
    table: DataFrame, *, path: str, previous: int | None, max_user_loss: float, max_popular_share: float, partial: bool
) -> int:
    """Act: the number of users, if the table may be published.

    Raises UserError for no users, repeated users, a score that isn't finite, and, unless partial, for the loss of more than
    the share max_user_loss of the previous users, or a share of popular lists above max_popular_share.
    """
    io.assert_unique(table, key="user_id", path=path)
    scores_fit = F.forall("items", lambda item: finite_value(item["score"]))
    found = table.agg(
        F.count("*").alias("users"),
        F.count_if(F.col("source") == "popular").alias("popular"),
        F.count_if(~scores_fit).alias("not_finite"),
        F.min(F.when(~scores_fit, F.col("user_id"))).alias("example"),
    ).first()
    assert found is not None
    users, popular = int(found["users"]), int(found["popular"])
    if not users:
        raise UserError(f"{path} holds no users to publish")
    if found["not_finite"]:
        raise UserError(f"{path}: {found['not_finite']} users have scores that aren't finite, e.g. user {found['example']!r}")
    if partial:
        return users
    if previous is not None and users < (1 - max_user_loss) * previous:
        raise UserError(
            f"{path} has {users} users, the last publication {previous}: more than guards.max_user_loss={max_user_loss} of them "
            f"are gone; raise it if that is meant"
        )
    if popular > max_popular_share * users:
        raise UserError(
            f"{path}: {popular} of {users} users get the popular list, more than guards.max_popular_share={max_popular_share}; "
            f"raise it if that is meant"
        )
    return users
