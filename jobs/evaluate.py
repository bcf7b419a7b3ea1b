"""A model or a scored table, and baselines, against held-out items."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict

from pyspark import StorageLevel

from seqrec.command.bars import working_on
from seqrec.command.entry import run_job
from seqrec.command.screen import show
from seqrec.command.session import open_session
from seqrec.command.story import Next, end, open_draft
from seqrec.evaluation.baselines import BASELINES
from seqrec.evaluation.candidate_recall import rank_by_candidates
from seqrec.evaluation.evaluate import rank_by_model, rank_by_table
from seqrec.evaluation.held_out import HeldOut, open_held_out
from seqrec.evaluation.intervals import Interval, measure_intervals
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.report import (
    SHOWN,
    measure,
    measure_apart,
    show_metrics,
    without_repeated,
    write_metrics,
    write_predictions,
)
from seqrec.evaluation.verdict import Comparison, compare, judge
from seqrec.export.export_onnx import export, find_export
from seqrec.serving.exports import locate
from seqrec.serving.topk import BlockSizes
from seqrec.settings.evaluate import Evaluate
from seqrec.storage import files
from seqrec.storage.metadata import EvaluationMeta


def run(cfg: Evaluate) -> None:
    """Rank the targets by each method, measure the ranks, show and write the metrics."""
    spark = open_session("evaluate", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    draft = None if cfg.output is None else open_draft(cfg, cfg.output)
    held_out = open_held_out(spark, cfg.data, split=cfg.split, sample_users=cfg.sample_users, seed=cfg.seed)
    dataset, results, apart, sources = held_out.dataset.meta, {}, {}, {}
    first: Ranked | None = None
    intervals: dict[str, dict[str, Interval]] = {}
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="seqrec-evaluate-") as scratch:
        for ranked in _methods(cfg, held_out, scratch):
            working_on(f"ranking by {ranked.name}")
            ranked.table.persist(StorageLevel.DISK_ONLY)
            results[ranked.name] = measure(ranked, catalogue=dataset.vocabulary.size, cutoffs=cfg.cutoffs)
            intervals[ranked.name] = measure_intervals(ranked, seed=cfg.seed, cutoffs=cfg.cutoffs)
            apart[ranked.name] = measure_apart(ranked, catalogue=dataset.vocabulary.size, cutoffs=cfg.cutoffs)
            sources[ranked.name] = ranked.source
            if first is None:
                first = ranked
                if draft is not None and cfg.save_predictions:
                    write_predictions(ranked, held_out, files.join(draft.path, "predictions"), k=cfg.predictions_k)
            elif ranked.name in BASELINES and first.name not in BASELINES:
                comparisons.append(compare(first, ranked, seed=cfg.seed))
    spark.catalog.clearCache()
    results = without_repeated(results)
    judged = judge(first.name, comparisons) if first is not None and comparisons else None
    table = show_metrics(results, intervals)
    show(f"{cfg.split} of dataset {dataset.run_id}\n{table}" + (f"\n\n{judged.sentence}" if judged else ""))
    for name, groups in apart.items():
        if groups:
            show(f"\n{name}, by whether the target has a training event\n{show_metrics(groups)}")
    if draft is not None:
        facts = {"run_id": draft.run_id, "dataset": dataset.run_id, "split": cfg.split}
        parts = {"warm_and_cold": apart} if any(apart.values()) else {}
        write_metrics(
            {**facts, "metrics": results, "intervals": intervals, **parts} | ({"verdict": asdict(judged)} if judged else {}),
            draft.path,
        )
        EvaluationMeta(
            run_id=draft.run_id, dataset=dataset.run_id, split=cfg.split, sources=sources, settings=draft.settings
        ).write(draft.path)
        draft.commit(keep=cfg.keep)
        then = Next("batch_recommend", ("data", "model")) if cfg.model and not (cfg.table or cfg.candidates) else None
        end(made="metrics.json, which has all metrics,", path=files.join(draft.path, "metrics.json"), then=then)


def _methods(cfg: Evaluate, held_out: HeldOut, scratch: str) -> Iterator[Ranked]:
    """The methods that the settings name, ranked one after another; a checkpoint that isn't exported is, into `scratch`."""
    if cfg.candidates is not None:
        yield from rank_by_candidates(held_out, cfg.candidates)
    elif cfg.table is not None:
        yield rank_by_table(held_out, cfg.table)
    elif cfg.model is not None:
        sizes, top_k = BlockSizes(users=cfg.batch_size, items=cfg.block_items), max(SHOWN, cfg.predictions_k)
        current = locate(cfg.model) if cfg.onnx else find_export(cfg.model, checkpoint=cfg.checkpoint)
        if current is not None:
            yield rank_by_model(held_out, current, sizes=sizes, top_k=top_k)
        else:
            exported = export(cfg.model, data=cfg.data, checkpoint=cfg.checkpoint, into=scratch)
            yield rank_by_model(held_out, exported, sizes=sizes, top_k=top_k, private_of=cfg.model)
    switches = {"popularity": cfg.popularity, "markov": cfg.markov}
    yield from (rank(held_out) for name, rank in BASELINES.items() if switches[name])


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Evaluate, run, argv)


if __name__ == "__main__":
    main()
