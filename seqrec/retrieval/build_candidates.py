"""The sources of candidates, checked, and a version of the candidates that are made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.retrieval.fusion import entries, expand, fuse, neighbours, rank
from seqrec.storage import files, versions
from seqrec.tables import io, schemas

LISTS, MERGED = "candidate_lists", "candidates"  # tables of a version
TABLES = {"similar_items": "similar_items", "user_lists": "recommendations"}  # of a source, by its kind


@dataclass(frozen=True, kw_only=True)
class Source:
    """A finished table of a kind: items like an item, or a list a user; meta is its version's."""

    name: str
    kind: str
    weight: float
    table: DataFrame
    meta: dict[str, Any]


def open_source(
    spark: SparkSession, name: str, *, kind: str, path: str, weight: float, dataset: dict[str, Any], history: str
) -> Source:
    """A source's current version; UserError if it isn't of the dataset (its meta) and of the history (full, valid or test)."""
    version = versions.resolve(path)
    meta = versions.read_meta(version, "source")
    if meta.get("dataset") != dataset["run_id"]:
        remedy = f"make it again, pass data=FOLDER/{meta.get('dataset')}, or leave it out by sources.{name}=null"
        raise UserError(f"{version} was made from dataset {meta.get('dataset')}, not {dataset['run_id']}: {remedy}")
    fit = {"user_lists": [history], "similar_items": ["train", "full"] if history == "full" else ["train"]}[kind]
    if meta.get("history") not in fit:
        remedy = f"make it again with history={fit[0]}, or leave it out by sources.{name}=null"
        raise UserError(f"{version} has history={meta.get('history')}, which doesn't fit history={history}: {remedy}")
    user, item = (schemas.IDS[dataset["id_types"][one]] for one in ("user", "item"))
    schema = schemas.recommendations(user, item) if kind == "user_lists" else schemas.similar_items(item)
    table = io.read_table(spark, files.join(version, TABLES[kind]), schema)
    return Source(name=name, kind=kind, weight=weight, table=table, meta=meta)


def propose(source: Source, histories: DataFrame, items: DataFrame, *, max_seeds: int, top_n: int) -> DataFrame:
    """What a source alone proposes to the users of histories (user_id, items, seen): schemas.candidate_lists."""
    if source.kind == "similar_items":
        scored = expand(histories, neighbours(source.table, items), max_seeds=max_seeds)
    else:
        scored = entries(source.table, items)
    listed = rank(scored, histories, items, top_n=top_n)
    return listed.select("user_id", F.lit(source.name).alias("source"), "items")


def write_version(
    spark: SparkSession,
    folder: str,
    *,
    dataset: str,
    histories: DataFrame,
    sources: Mapping[str, Mapping[str, Any]],
    history: str,
    max_seeds: int,
    top_n: int,
    k: float,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Act: write each source's lists and the merged ones of a dataset's version into a version folder; returns the counts.

    `sources` are the kind, path and weight of each, by name; `facts` (run_id at least) go into the meta.json. Raises UserError,
    before anything is written, for a source that doesn't fit.
    """
    meta = versions.read_meta(dataset, "dataset")
    opened = [open_source(spark, name, **one, dataset=meta, history=history) for name, one in sources.items()]
    user, item = (schemas.IDS[meta["id_types"][one]] for one in ("user", "item"))
    items = io.read_table(spark, files.join(dataset, "items"), schemas.items(item))
    proposed = [propose(one, histories, items, max_seeds=max_seeds, top_n=top_n) for one in opened]
    path, schema = files.join(folder, LISTS), schemas.candidate_lists(user, item)
    io.write_table(reduce(DataFrame.unionByName, proposed), path, schema)
    lists = io.read_table(spark, path, schema)
    merged = fuse(lists, histories, weights={one.name: one.weight for one in opened}, k=k, top_n=top_n)
    io.write_table(merged, files.join(folder, MERGED), schemas.candidates(user, item))
    counts = _count(spark, folder, [one.name for one in opened])
    asked = {"dataset": meta["run_id"], "id_types": meta["id_types"], "history": history, "top_n": top_n, "filter_seen": True}
    made_of = {one.name: {"run_id": one.meta["run_id"], "kind": one.kind, "weight": one.weight} for one in opened}
    versions.write_meta(folder, {**asked, "sources": made_of, **facts, "counts": counts})
    return counts


def _count(spark: SparkSession, folder: str, names: list[str]) -> dict[str, Any]:
    """Act: users with a list, of each source and merged, and users without any."""
    found = io.open_table(spark, files.join(folder, LISTS)).groupBy("source").count().collect()
    of_source = {row["source"]: int(row["count"]) for row in found}
    merged = io.open_table(spark, files.join(folder, MERGED)).agg(F.count("*"), F.count_if(F.size("items") == 0)).collect()[0]
    return {"users": merged[0], "empty": merged[1], "sources": {name: of_source.get(name, 0) for name in names}}
