"""Users' lists by search in Milvus, beside a version's exact ones, and how much of these the search finds."""

import logging
import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.evaluation import evaluate as evaluation
from seqrec.scoring.batch_recommend import read_histories
from seqrec.serving import sealed
from seqrec.storage import files, versions
from seqrec.stores.milvus_place import Place
from seqrec.stores.milvus_search import search_users
from seqrec.stores.store_errors import explained
from seqrec.tables import io, schemas

log = logging.getLogger("seqrec")

TABLE = "milvus_recommendations"


def search_version(
    spark: SparkSession,
    folder: str,
    place: Place,
    *,
    dataset: str,
    model: str,
    users: int | None,
    params: dict[str, int],
    seed: int,
) -> dict[str, float]:
    """Act: search for a version's users, or a sample of them, write the table milvus_recommendations; its recall.

    The version has recommendations and user_embeddings; its popular lists are not searched for. Items that no list of the
    version may have are left out alike: what a user has seen, and items without a training event.
    """
    meta, started = versions.read_meta(folder, "recommendations"), time.monotonic()
    kinds = meta["id_types"]
    user, item = schemas.IDS[kinds["user"]], schemas.IDS[kinds["item"]]
    lists = schemas.recommendations(user, item)
    exact = io.read_table(spark, files.join(folder, "recommendations"), lists)
    queries = io.read_table(spark, files.join(folder, "user_embeddings"), schemas.user_embeddings(user))
    chosen = evaluation.sample(queries.select("user_id", "embedding"), users=users, seed=seed)
    histories = read_histories(spark, dataset, history=meta["history"], user_type=kinds["user"])
    seen = F.col("seen") if meta["filter_seen"] else F.slice("seen", 1, 0)
    asked = chosen.join(histories.select("user_id", seen.alias("seen")), "user_id")
    path, without = files.join(folder, TABLE), untrained_items(spark, model)
    with explained(f"{place}: searching failed", secrets=(place.uri, place.token)):
        found = search_users(asked, place, item=item, top_k=meta["top_k"], params=params, without=without)
        io.write_table(found.join(exact.drop("items"), "user_id"), path, lists)
    recall = recall_of(io.read_table(spark, path, lists), exact, top_k=meta["top_k"])
    log.info("searched in %s: %s, %.1f s", place, recall, time.monotonic() - started)
    return recall


def untrained_items(spark: SparkSession, model: str) -> list[int]:
    """Act: indices of a model's items without a training event, which are never recommended."""
    vocabulary = io.read_parquet(spark, files.join(model, sealed.VOCABULARY))
    found: list[int] = vocabulary.where("count = 0").select("item_idx").toArrow()["item_idx"].to_pylist()
    return sorted(found)


def recall_of(found: DataFrame, exact: DataFrame, *, top_k: int) -> dict[str, float]:
    """Act: of the users in both (user_id, items), the mean share of the exact list's items that the found one has.

    At the first 10 places of both lists where they are longer, and at all top_k; users whose exact list is empty don't count.
    """
    both = exact.select("user_id", F.col("items").alias("wanted")).where(F.size("wanted") > 0)
    both = both.join(found.select("user_id", "items"), "user_id")
    shares = {}
    for places in sorted({min(10, top_k), top_k}):
        ours, theirs = (F.slice(F.col(name)["item_id"], 1, places) for name in ("items", "wanted"))
        shares[f"recall@{places}"] = F.avg(F.size(F.array_intersect(ours, theirs)) / F.size(theirs))
    row = both.agg(F.count("*").alias("users"), *(share.alias(name) for name, share in shares.items())).first()
    assert row is not None
    return {name: float(row[name]) for name in ("users", *shares)} if row["users"] else {"users": 0.0}
