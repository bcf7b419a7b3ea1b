"""Which of the held-out items are among the candidates: in the merged lists, and in those of each source."""

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.evaluation.baselines import BASELINES, result_name
from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.ranked import Ranked, final_ranks, rank_lists, require_fitting
from seqrec.retrieval.build_candidates import LISTS, MERGED_LISTS
from seqrec.serving.candidate_rows import MERGED
from seqrec.storage import files, versions
from seqrec.storage.candidate_metadata import CandidatesMeta
from seqrec.tables import io, schemas


def rank_by_candidates(held_out: HeldOut, folder: str) -> Iterator[Ranked]:
    """Ranks in the merged lists of build_candidates, then in those of each source, for the same held-out items.

    A user without a list misses. A source with the name of a baseline or of the merged lists becomes `NAME (source)` here. Raises
    UserError if the candidates were made for another history or dataset, or by a ranker that learned the held-out items.
    """
    dataset, path = held_out.dataset, versions.resolve(folder)
    meta = CandidatesMeta.read(path)
    require_fitting(meta, path=path, split=held_out.split, dataset=dataset.meta.run_id)
    if (telling := meta.telling_source(held_out.split)) is not None:
        raise UserError(
            f"{path}: the ranker of its source {telling} learned which items split={held_out.split} holds out: evaluate "
            f"split=test with candidates of history=test, or make them without it (sources.{telling}=null)"
        )
    merged = io.read_table(dataset.spark, files.join(path, MERGED_LISTS), schemas.candidates(dataset.user, dataset.item))
    lists = io.read_table(dataset.spark, files.join(path, LISTS), schemas.candidate_lists(dataset.user, dataset.item))
    yield rank_proposed(held_out, merged, name=MERGED, source={"candidates": meta.run_id}, top_n=meta.top_n)
    for source, described in meta.sources.items():
        others = meta.sources.keys() - {source}
        name = result_name(source, kind="source", taken={*BASELINES, MERGED, *others})
        from_version = {"candidates": meta.run_id, **described.model_dump(exclude_none=True)}
        yield rank_proposed(held_out, lists.where(F.col("source") == source), name=name, source=from_version, top_n=meta.top_n)


def rank_proposed(held_out: HeldOut, lists: DataFrame, *, name: str, source: dict[str, object], top_n: int) -> Ranked:
    """Ranks in lists (user_id, items) of at most top_n items; `source` says what they were made from."""
    items = held_out.dataset.items
    scored = F.transform("items", lambda entry: F.struct(entry["item_id"].alias("item_id"), entry["score"].alias("score")))
    ranked = rank_lists(held_out.users, lists.select("user_id", scored.alias("items")), items, top_k=top_n, subset=False)
    table = final_ranks(ranked, held_out.users, items, listed=top_n)
    return Ranked(name=name, table=table, source=source, listed=top_n)
