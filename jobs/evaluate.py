"""A model or a scored table, and baselines, against held-out items."""

import sys
import tempfile
from collections.abc import Iterator

from pyspark import StorageLevel
from pyspark.sql import SparkSession

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.evaluation import evaluate as evaluation
from seqrec.evaluation.candidate_recall import rank_by_candidates
from seqrec.export.export_onnx import export
from seqrec.serving import exports
from seqrec.settings.evaluate import Evaluate
from seqrec.storage import files, versions


def run(cfg: Evaluate) -> None:
    """Rank the targets by each method, measure the ranks, show and write the metrics."""
    spark = open_session("evaluate", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    if cfg.output is not None:
        files.require_writable(cfg.output, key="output")
    held_out = evaluation.open_held_out(spark, cfg.data, split=cfg.split, sample_users=cfg.sample_users, seed=cfg.seed)
    run_id, results, sources, catalogue = versions.new_run_id(), {}, {}, held_out.meta["vocabulary"]["size"]
    with tempfile.TemporaryDirectory(prefix="seqrec-evaluate-") as scratch:
        for number, ranked in enumerate(_methods(spark, cfg, held_out, scratch)):
            ranked.table.persist(StorageLevel.DISK_ONLY)
            results[ranked.name] = evaluation.measure(ranked, catalogue=catalogue, cutoffs=cfg.cutoffs)
            sources[ranked.name] = ranked.source
            if cfg.output is not None and cfg.save_predictions and number == 0:
                evaluation.write_predictions(ranked, held_out, files.join(cfg.output, run_id, "predictions"))
            ranked.table.unpersist()
    sys.stdout.write(f"{cfg.split} of dataset {held_out.meta['run_id']}\n{evaluation.show(results)}\n")
    if cfg.output is not None:
        path, facts = files.join(cfg.output, run_id), {"run_id": run_id, "dataset": held_out.meta["run_id"], "split": cfg.split}
        evaluation.write_metrics({**facts, "metrics": results}, path)
        versions.write_meta(path, {**facts, "sources": sources, "settings": public(cfg)})
        versions.commit(cfg.output, run_id, keep=cfg.keep)


def _methods(spark: SparkSession, cfg: Evaluate, held_out: evaluation.HeldOut, scratch: str) -> Iterator[evaluation.Ranked]:
    if cfg.candidates is not None:
        yield from rank_by_candidates(spark, held_out, cfg.candidates)
    elif cfg.table is not None:
        yield evaluation.rank_by_table(spark, held_out, cfg.table)
    elif cfg.model is not None:
        model = exports.locate(cfg.model) if cfg.onnx else cfg.model
        if not cfg.onnx:
            export(model, data=cfg.data, checkpoint=cfg.checkpoint, into=scratch)
        sizes = {"batch_users": cfg.batch_size, "block_items": cfg.block_items}
        yield evaluation.rank_by_model(spark, held_out, model, model if cfg.onnx else scratch, **sizes)
    baselines = {evaluation.rank_by_popularity: cfg.popularity, evaluation.rank_by_markov: cfg.markov}
    yield from (rank(held_out) for rank, asked in baselines.items() if asked)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Evaluate, run, argv)


if __name__ == "__main__":
    main()
