"""What stops a publication before anything is staged."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from seqrec import io
from seqrec.errors import UserError
from seqrec.stores import milvus

UNFIT_FOR_LITE = r"['\x00]"  # a regular expression: Milvus Lite builds SQL from ids


def check_recommendations(
    table: DataFrame, *, path: str, previous: int | None, max_user_loss: float, max_popular_share: float, partial: bool
) -> int:
    """Act: the number of users, if the table may be published.

    Raises UserError for no users, repeated users, a score that isn't finite, and, unless partial, for the loss of more than
    the share max_user_loss of the previous users, or a share of popular lists above max_popular_share.
    """
    io.assert_unique(table, key="user_id", path=path)
    scores_fit = F.forall("items", lambda item: _finite(item["score"]))
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


def check_items(table: DataFrame, place: milvus.Place, *, path: str) -> tuple[int, int]:
    """Act: the number of items and their width, if the table may be published to the place.

    Raises UserError for no items, repeated items, several widths, values that aren't finite, and ids that the store can't take.
    """
    io.assert_unique(table, key="item_id", path=path)
    values_fit = F.forall("embedding", _finite)
    checks = [
        F.count("*").alias("items"),
        F.min(F.size("embedding")).alias("dim"),
        F.max(F.size("embedding")).alias("widest"),
        F.min(F.when(~values_fit, F.col("item_id"))).alias("not_finite"),
    ]
    if isinstance(table.schema["item_id"].dataType, StringType):
        unfit = F.octet_length("item_id") > milvus.LONGEST_ID
        if not place.aliases:
            unfit = unfit | F.col("item_id").rlike(UNFIT_FOR_LITE)
        checks.append(F.min(F.when(unfit, F.substring("item_id", 1, 50))).alias("unfit"))
    found = table.agg(*checks).first()
    assert found is not None
    if not found["items"] or not found["dim"]:
        raise UserError(f"{path} holds no item embeddings to publish")
    if found["dim"] != found["widest"]:
        raise UserError(
            f"{path}: embeddings are {found['dim']} to {found['widest']} wide, expected one width: export the model again"
        )
    if found["not_finite"] is not None:
        raise UserError(f"{path}: the embedding of item {found['not_finite']!r} isn't finite: train and export the model again")
    if "unfit" in found and found["unfit"] is not None:
        limits = f"at most {milvus.LONGEST_ID} bytes" + ("" if place.aliases else ", without ' or the character 0")
        raise UserError(
            f"{path}: {place} takes item ids of {limits}, not {found['unfit']!r}; use a Milvus server, or MILVUS_URI=none"
        )
    return int(found["items"]), int(found["dim"])


def _finite(value: Column) -> Column:
    return ~F.isnan(value) & (F.abs(value) < F.lit(float("inf")))
