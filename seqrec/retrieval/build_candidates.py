"""A version of candidates: its sources, checked and opened, each source's lists, and the lists that are merged of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.retrieval.fusion import expand_seeds, fuse, list_entries, rank_scored, similar_by_index
from seqrec.storage import files, versions
from seqrec.storage.candidate_metadata import CandidateCounts, CandidatesMeta, MergedSource, SourceMeta
from seqrec.storage.draft import Draft
from seqrec.tables import io, schemas
from seqrec.tables.datasets import Dataset
from seqrec.tables.histories import select_histories

LISTS, MERGED_LISTS = "candidate_lists", "candidates"  # tables of a version
TABLES = {"similar_items": "similar_items", "user_lists": "recommendations"}  # of a source, by its kind


@dataclass(frozen=True, kw_only=True)
class SourceFolder:
    """Where candidates come from: the folder of similar_items (lists of items) or of user_lists, and the weight of its ranks."""

    name: str
    kind: str
    path: str
    weight: float


@dataclass(frozen=True)
class Source:
    """The current version of a source's folder: its meta.json and its table."""

    folder: SourceFolder
    meta: SourceMeta
    table: DataFrame


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """How many newest items of a user have their similar items summed, the most items of a list, and the fusion's constant."""

    max_seeds: int
    top_n: int
    k: float


def open_source(folder: SourceFolder, dataset: Dataset, *, history: str) -> Source:
    """A source's current version; UserError if it isn't of the dataset and of the history (full, valid or test)."""
    name, path = folder.name, versions.resolve(folder.path)
    meta = SourceMeta.read(path)
    if meta.dataset != dataset.meta.run_id:
        remedy = f"make it again, pass data=FOLDER/{meta.dataset}, or leave it out by sources.{name}=null"
        raise UserError(f"{path} was made from dataset {meta.dataset}, not {dataset.meta.run_id}: {remedy}")
    of_events = ["train", "full"] if history == "full" else ["train"]
    fitting = {"user_lists": [history], "similar_items": of_events}[folder.kind]
    if meta.history not in fitting:
        remedy = f"make it again with history={fitting[0]}, or leave it out by sources.{name}=null"
        raise UserError(f"{path} has history={meta.history}, which doesn't fit history={history}: {remedy}")
    lists = schemas.recommendations(dataset.user, dataset.item)
    schema = lists if folder.kind == "user_lists" else schemas.similar_items(dataset.item)
    table = io.read_table(dataset.spark, files.join(path, TABLES[folder.kind]), schema)
    return Source(folder, meta, table)


def propose(source: Source, histories: DataFrame, items: DataFrame, *, max_seeds: int, top_n: int) -> DataFrame:
    """What a source alone proposes to the users of histories (user_id, items, seen): schemas.candidate_lists."""
    if source.folder.kind == "similar_items":
        scored = expand_seeds(histories, similar_by_index(source.table, items), max_seeds=max_seeds)
    else:
        scored = list_entries(source.table, items)
    listed = rank_scored(scored, histories, items, top_n=top_n)
    return listed.select("user_id", F.lit(source.folder.name).alias("source"), "items")


def write_candidates(
    draft: Draft, dataset: Dataset, *, sources: Sequence[SourceFolder], history: str, fusion: Fusion
) -> CandidateCounts:
    """Act: write each source's lists and the merged ones of a dataset's users into a version; returns the counts.

    Raises UserError, before anything is written, for a source that doesn't fit.
    """
    histories, top_n = select_histories(dataset, history=history), fusion.top_n
    opened = [open_source(source, dataset, history=history) for source in sources]
    proposed = [propose(source, histories, dataset.items, max_seeds=fusion.max_seeds, top_n=top_n) for source in opened]
    path, schema = files.join(draft.path, LISTS), schemas.candidate_lists(dataset.user, dataset.item)
    io.write_table(reduce(DataFrame.unionByName, proposed), path, schema)
    lists = io.read_table(dataset.spark, path, schema)
    weights = {source.name: source.weight for source in sources}
    merged = fuse(lists, histories, weights=weights, k=fusion.k, top_n=top_n)
    io.write_table(merged, files.join(draft.path, MERGED_LISTS), schemas.candidates(dataset.user, dataset.item))
    counts = _count(dataset.spark, draft.path, list(weights))
    CandidatesMeta(
        run_id=draft.run_id,
        id_types=dataset.meta.id_types,
        dataset=dataset.meta.run_id,
        history=history,
        filter_seen=True,
        top_n=top_n,
        sources={source.folder.name: _describe(source) for source in opened},
        counts=counts,
        settings=draft.settings,
    ).write(draft.path)
    return counts


def _describe(source: Source) -> MergedSource:
    """A source's entry in meta.json."""
    folder, second = source.folder, source.meta.second_stage
    learned = None if second is None else second.samples
    return MergedSource(run_id=source.meta.run_id, kind=folder.kind, weight=folder.weight, learned=learned)


def _count(spark: SparkSession, folder: str, names: list[str]) -> CandidateCounts:
    """Act: users with a list, of each source and merged, and users without any."""
    rows = io.open_table(spark, files.join(folder, LISTS)).groupBy("source").count().collect()
    of_source = {row["source"]: int(row["count"]) for row in rows}
    merged = (
        io.open_table(spark, files.join(folder, MERGED_LISTS)).agg(F.count("*"), F.count_if(F.size("items") == 0)).collect()[0]
    )
    return CandidateCounts(users=merged[0], empty=merged[1], sources={name: of_source.get(name, 0) for name in names})
