"""A model or a scored table, and baselines, against held-out items."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

from seqrec.command.entry import run_job
from seqrec.command.screen import show
from seqrec.command.session import open_session
from seqrec.command.story import Next, end, open_draft
from seqrec.dataset.head import settle_table
from seqrec.dataset.unpack import open_unpacked
from seqrec.evaluation.baselines import BASELINES
from seqrec.evaluation.candidate_recall import rank_by_candidates
from seqrec.evaluation.compared import rank_by_lists
from seqrec.evaluation.evaluate import evaluated_users, rank_by_model, rank_by_table
from seqrec.evaluation.held_out import HeldOut, open_held_out
from seqrec.evaluation.item_facts import FactSources, read_item_facts
from seqrec.evaluation.measured import Measuring, measure_methods
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.report import write_metrics, write_predictions
from seqrec.evaluation.segments import divide_users
from seqrec.evaluation.user_columns import UserColumns, find_features
from seqrec.evaluation.user_values import FIRST
from seqrec.export.export_onnx import export, find_export
from seqrec.serving.exports import locate
from seqrec.serving.topk import BlockSizes
from seqrec.settings.evaluate import DescribedUsers, Evaluate
from seqrec.storage import files
from seqrec.storage.metadata import EvaluationMeta
from seqrec.tracking.tracked import add_metrics


def run(cfg: Evaluate) -> None:
    """Rank the targets by each method, measure the ranks, show and write the metrics."""
    spark = open_session("evaluate", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    draft = None if cfg.output is None else open_draft(cfg, cfg.output)
    held_out = open_held_out(spark, cfg.data, split=cfg.split, sample_users=cfg.sample_users, seed=cfg.seed)
    dataset = held_out.dataset.meta
    with tempfile.TemporaryDirectory(prefix="seqrec-evaluate-") as scratch, ExitStack() as copies:
        users = _user_columns(cfg.users, scratch, copies)
        methods = list(_methods(cfg, held_out, scratch))
        facts = read_item_facts(held_out.dataset, _fact_sources(cfg, methods[0]))
        compared = evaluated_users(held_out, methods[0])
        segments = divide_users(compared, cfg.segments, facts, users) if cfg.segments else None
        measuring = Measuring(held_out=held_out, facts=facts, cutoffs=cfg.cutoffs, seed=cfg.seed, segments=segments)
        measured = measure_methods(methods, measuring)
        if draft is not None and cfg.save_predictions:
            write_predictions(measured.first, held_out, files.join(draft.path, "predictions"), k=cfg.predictions_k)
    spark.catalog.clearCache()
    for name, results in measured.results.items():
        add_metrics(results, prefix="" if name == measured.first.name else f"{name}/")
    show(f"{cfg.split} of dataset {dataset.run_id}\n{measured.shown()}")
    if draft is not None:
        origin = {"run_id": draft.run_id, "dataset": dataset.run_id, "split": cfg.split}
        write_metrics({**origin, **measured.content()}, draft.path)
        EvaluationMeta(
            run_id=draft.run_id, dataset=dataset.run_id, split=cfg.split, sources=measured.sources, settings=draft.settings
        ).write(draft.path)
        draft.commit(keep=cfg.keep)
        then = Next("batch_recommend", ("data", "model")) if cfg.model and not (cfg.table or cfg.candidates) else None
        end(made="metrics.json, which has all metrics,", path=files.join(draft.path, "metrics.json"), then=then)


def _methods(cfg: Evaluate, held_out: HeldOut, scratch: str) -> Iterator[Ranked]:
    """The methods that the settings name, ranked one after another; a checkpoint that isn't exported is, into `scratch`."""
    if cfg.candidates is not None:
        yield from rank_by_candidates(held_out, cfg.candidates)
    elif cfg.table is not None:
        first = rank_by_table(held_out, cfg.table)
        yield first
        held_out = evaluated_users(held_out, first)
    elif cfg.model is not None:
        sizes, top_k = BlockSizes(users=cfg.batch_size, items=cfg.block_items), max(FIRST, cfg.predictions_k)
        current = locate(cfg.model) if cfg.onnx else find_export(cfg.model, checkpoint=cfg.checkpoint)
        if current is not None:
            yield rank_by_model(held_out, current, sizes=sizes, top_k=top_k)
        else:
            exported = export(cfg.model, data=cfg.data, checkpoint=cfg.checkpoint, into=scratch)
            yield rank_by_model(held_out, exported, sizes=sizes, top_k=top_k, private_of=cfg.model)
    yield from (rank_by_lists(held_out, name, folder) for name, folder in cfg.compared.items() if folder is not None)
    switches = {"popularity": cfg.popularity, "markov": cfg.markov}
    yield from (rank(held_out) for name, rank in BASELINES.items() if switches[name])


def _fact_sources(cfg: Evaluate, first: Ranked) -> FactSources:
    """Where the genres and vectors are by which lists are measured: vectors are those of the first method if none are named."""
    items = cfg.items
    vectors = cfg.vectors or first.vectors
    return FactSources(items=items.path, id=items.id, genres=items.genres, delimiter=items.delimiter, vectors=vectors)


def _user_columns(users: DescribedUsers, scratch: str, copies: ExitStack) -> UserColumns | None:
    """The table of users: a version of build_features, or a file as Spark reads it, if need be a copy in `scratch`."""
    wanted = users.wanted("users")
    if wanted is None:
        return None
    if users.path is not None and (features := find_features(users.path)):
        return UserColumns(features=features, id=users.id)
    return UserColumns(table=open_unpacked(settle_table(wanted), folder=scratch, copies=copies), id=users.id)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Evaluate, run, argv)


if __name__ == "__main__":
    main()
