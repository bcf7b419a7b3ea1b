"""Held-out users ranked by a model and by finished lists; `baselines` and `candidate_recall` rank by other methods.

Every method gives a `Ranked`, whose metrics are measured in `report`: all methods are measured alike, on the same users.
"""

from dataclasses import replace
from typing import Any

from seqrec.errors import UserError
from seqrec.evaluation.baselines import result_name
from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.ranked import Ranked, final_ranks, rank_lists, require_finite, require_fitting
from seqrec.evaluation.user_values import FIRST
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import rank_users
from seqrec.serving import sealed
from seqrec.serving.exports import Export, check_lineage, check_unlearned
from seqrec.serving.topk import BlockSizes
from seqrec.storage import files, versions
from seqrec.storage.metadata import ListsMeta
from seqrec.tables import io, schemas


def rank_by_model(
    held_out: HeldOut, export: Export, *, sizes: BlockSizes, top_k: int = FIRST, private_of: str | None = None
) -> Ranked:
    """Ranks by an export, and lists of top_k; where only the driver has it, `private_of` is its model's folder, for all hosts.

    Raises UserError if the model's vocabulary isn't the dataset's, if it was trained on a newer dataset, or if its files aren't
    of one export.
    """
    spark = held_out.dataset.spark
    check_lineage(export.meta, held_out.dataset.meta)
    check_unlearned(f"the model {export.meta.name}", export.meta, held_out.dataset.meta, split=held_out.split)
    model = ship(spark, export, private=private_of is not None)
    ranked = rank_users(held_out.users, model=model, top_k=top_k, sizes=sizes)
    vocabulary = io.read_parquet(spark, files.join(private_of, sealed.VOCABULARY) if private_of else export.vocabulary)
    return Ranked(
        name=result_name(export.meta.name, kind="model"),
        table=final_ranks(ranked, held_out.users, vocabulary),
        source=export.origin(),
        vectors=export.embeddings if files.exists(export.embeddings) else None,
    )


def rank_by_table(held_out: HeldOut, folder: str) -> Ranked:
    """Act: ranks in the lists of batch_recommend, which are called by what ranked them: the ranker, or the model.

    Raises UserError if they are of another split or dataset, if their ranker learned the held-out items, or if scores
    aren't finite.
    """
    dataset, path = held_out.dataset, versions.resolve(folder)
    meta = ListsMeta.read(path)
    require_fitting(meta, path=path, split=held_out.split, dataset=dataset.meta.run_id)
    _require_unlearned(meta, path=path, split=held_out.split)
    explained = meta.explanation is not None
    schema = schemas.recommendations(dataset.user, dataset.item, reranked=meta.reranked, explained=explained)
    lists = io.read_table(dataset.spark, files.join(path, "recommendations"), schema)
    require_finite(lists, path)
    ranked = rank_lists(held_out.users, lists, dataset.items, top_k=meta.top_k, subset=meta.users is not None)
    second = meta.second_stage
    source: dict[str, Any] = {"model": meta.model, "model_run_id": meta.model_run_id, "table": meta.run_id}
    source |= {"second_stage": second.model_dump()} if second else {}
    table = final_ranks(ranked, held_out.users, dataset.items, listed=meta.top_k)
    return Ranked(
        name=f"{second.name if second else meta.model} (table)",
        table=table,
        source=source,
        listed=meta.top_k,
        subset=None if meta.users is None else f"{path} has lists for users={meta.users} alone",
        vectors=embeddings if files.exists(embeddings := files.join(path, sealed.EMBEDDINGS)) else None,
        catalogue=dataset.items,
    )


def evaluated_users(held_out: HeldOut, first: Ranked) -> HeldOut:
    """The held-out users whom the first method ranks, so that the methods after it are measured on the same ones."""
    if first.subset is None:
        return held_out
    return replace(held_out, users=held_out.users.join(first.table.select("user_id"), "user_id", "left_semi"))


def _require_unlearned(meta: ListsMeta, *, path: str, split: str) -> None:
    """Raise UserError if the ranker of the lists learned which items the split holds out."""
    second = meta.second_stage
    if second is not None and second.samples is not None and second.samples.has_targets_of(split):
        raise UserError(
            f"{path}: its ranker {second.ranker} learned which items split={split} holds out (samples "
            f"{second.samples.run_id}): make lists with history=test, and evaluate split=test"
        )
