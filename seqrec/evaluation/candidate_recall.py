"""How much of what users did next the candidates hold, merged and of each source."""

from collections.abc import Iterator

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from seqrec.evaluation.baselines import BASELINES, result_name
from seqrec.evaluation.evaluate import HeldOut, Ranked, check_table, count_misses, rank_lists
from seqrec.retrieval.build_candidates import LISTS, MERGED
from seqrec.storage import files, versions
from seqrec.tables import io, schemas


def rank_by_candidates(spark: SparkSession, held_out: HeldOut, folder: str) -> Iterator[Ranked]:
    """Ranks in the merged lists of build_candidates, then in those of each source, for the same held-out items.

    A user without a list misses. A source that is called as the merged lists or a baseline are is `NAME (source)` here. Raises
    UserError if the candidates were made for another history or dataset.
    """
    path = versions.resolve(folder)
    meta = versions.read_meta(path, "candidates")
    check_table(meta, path=path, split=held_out.split, dataset=held_out.meta["run_id"], job="build_candidates")
    user, item = (schemas.IDS[meta["id_types"][kind]] for kind in ("user", "item"))
    merged = io.read_table(spark, files.join(path, MERGED), schemas.candidates(user, item))
    lists = io.read_table(spark, files.join(path, LISTS), schemas.candidate_lists(user, item))
    sources = {name: lists.where(F.col("source") == name) for name in meta["sources"]}
    taken = {*BASELINES, "merged"}
    names = {result_name(name, kind="source", taken=taken | (sources.keys() - {name})): name for name in sources}
    for name, table in [("merged", merged), *((name, sources[source]) for name, source in names.items())]:
        scored = F.transform("items", lambda one: F.struct(one["item_id"].alias("item_id"), one["score"].alias("score")))
        listed = table.select("user_id", scored.alias("items"))
        ranked = rank_lists(held_out.users, listed, held_out.items, top_k=meta["top_n"], subset=False)
        source = {"candidates": meta["run_id"], **meta["sources"].get(names.get(name), {})}
        yield Ranked(name=name, table=count_misses(ranked, held_out.items), source=source, listed=meta["top_n"])
