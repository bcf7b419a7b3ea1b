"""Users' lists by search in Milvus, beside a version's exact lists, and the share of the exact lists that the search returns."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.command.screen import duration, listed
from seqrec.evaluation.held_out import sample
from seqrec.storage import files
from seqrec.storage.metadata import ListsMeta
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.milvus_search import search_for_users
from seqrec.stores.store_errors import as_user_errors
from seqrec.tables import io, schemas
from seqrec.tables.datasets import Dataset

log = logging.getLogger("seqrec")

TABLE = "milvus_recommendations"


@dataclass(frozen=True, kw_only=True)
class Search:
    """Milvus's parameters of a search, and for how many users it is done: a seeded sample of them, None for all."""

    params: dict[str, int]
    users: int | None
    seed: int


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """What a version of lists leaves out, by item_idx: what each user has had (user_id, seen), and what no list has."""

    seen: DataFrame
    everywhere: Sequence[int]


def search_lists(folder: str, alias: MilvusAlias, *, dataset: Dataset, hidden: Hidden, search: Search) -> dict[str, float]:
    """Act: search for the users of a version of lists, write the table milvus_recommendations beside them; its recall.

    The version has recommendations and user_embeddings; users with the popular list are not searched for. As in the version's
    lists, a user's seen items (if filter_seen is true) and those that are never recommended are left out.
    """
    spark, started = dataset.spark, time.monotonic()
    meta = ListsMeta.read(folder)
    schema = schemas.recommendations(dataset.user, dataset.item)
    exact = io.read_table(spark, files.join(folder, "recommendations"), schema)
    queries = io.read_table(spark, files.join(folder, "user_embeddings"), schemas.user_embeddings(dataset.user))
    chosen = sample(queries.select("user_id", "embedding"), users=search.users, seed=search.seed)
    none = F.array().cast("array<int>")
    seen = F.coalesce("seen", none) if meta.filter_seen else none  # a new user has had nothing
    path = files.join(folder, TABLE)
    with as_user_errors(f"{alias}: searching failed", secrets=alias.server.secrets):
        lists = search_for_users(
            chosen.join(hidden.seen, "user_id", "left").select("user_id", "embedding", seen.alias("seen")),
            alias,
            item=dataset.item,
            top_k=meta.top_k,
            params=search.params,
            without=hidden.everywhere,
        )
        io.write_table(lists.join(exact.drop("items"), "user_id"), path, schema)
    recall = recall_of(io.read_table(spark, path, schema), exact, top_k=meta.top_k)
    log.info("searched in %s in %s: %s", alias, duration(time.monotonic() - started), listed(recall))
    return recall


def recall_of(lists: DataFrame, exact: DataFrame, *, top_k: int) -> dict[str, float]:
    """Act: of the users in both (user_id, items), the mean share of the exact list's items that the other list has.

    It is measured for all top_k, and for the first 10 if top_k is more; users whose exact list is empty don't count.
    """
    both = exact.select("user_id", F.col("items").alias("exact_items")).where(F.size("exact_items") > 0)
    both = both.join(lists.select("user_id", "items"), "user_id")
    shares = {}
    for cutoff in sorted({min(10, top_k), top_k}):
        first, first_exact = (F.slice(F.col(name)["item_id"], 1, cutoff) for name in ("items", "exact_items"))
        shares[f"recall@{cutoff}"] = F.avg(F.size(F.array_intersect(first, first_exact)) / F.size(first_exact))
    row = both.agg(F.count("*").alias("users"), *(share.alias(name) for name, share in shares.items())).first()
    assert row is not None
    return {name: float(row[name]) for name in ("users", *shares)} if row["users"] else {"users": 0.0}
