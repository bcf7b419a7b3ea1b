"""A model or a scored table, and baselines, against held-out items."""

import sys
import tempfile
from collections.abc import Iterator

from pyspark import StorageLevel
from pyspark.sql import SparkSession

from seqrec import evaluation, files, versions
from seqrec.config import public
from seqrec.entry import run_job
from seqrec.scoring.export import export
from seqrec.session import open_session
from seqrec.settings.scoring import Evaluate


def run(cfg: Evaluate) -> None:
    """Rank the targets by each method, measure the ranks, show and write the metrics."""
    spark = open_session("evaluate", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    held_out = evaluation.open_held_out(spark, cfg.data, split=cfg.split, sample_users=cfg.sample_users, seed=cfg.seed)
    run_id, results, sources = versions.new_run_id(), {}, {}
    with tempfile.TemporaryDirectory(prefix="seqrec-evaluate-") as scratch:
        for number, ranked in enumerate(_methods(spark, cfg, held_out, scratch)):
            ranked.table.persist(StorageLevel.DISK_ONLY)
            results[ranked.name] = evaluation.measure(ranked, catalogue=held_out.meta["vocabulary"]["size"])
            sources[ranked.name] = ranked.source
            if cfg.output is not None and cfg.save_predictions and number == 0:
                evaluation.write_predictions(ranked, held_out, files.join(cfg.output, run_id, "predictions"))
            ranked.table.unpersist()
    sys.stdout.write(f"{cfg.split} of dataset {held_out.meta['run_id']}\n{evaluation.show(results)}\n")
    if cfg.output is not None:
        path = files.join(cfg.output, run_id)
        facts = {"run_id": run_id, "dataset": held_out.meta["run_id"], "split": cfg.split}
        evaluation.write_metrics({**facts, "metrics": results}, path)
        versions.write_meta(path, {**facts, "sources": sources, "settings": public(cfg)})
        versions.commit(cfg.output, run_id, keep=cfg.keep)


def _methods(spark: SparkSession, cfg: Evaluate, held_out: evaluation.HeldOut, scratch: str) -> Iterator[evaluation.Ranked]:
    if cfg.table is not None:
        yield evaluation.rank_by_table(spark, held_out, cfg.table)
    elif cfg.model is not None:
        if not cfg.onnx:
            export(cfg.model, data=cfg.data, checkpoint=cfg.checkpoint, into=scratch)
        place = cfg.model if cfg.onnx else scratch
        yield evaluation.rank_by_model(spark, held_out, cfg.model, place, batch_users=cfg.batch_size, block_items=cfg.block_items)
    if cfg.popularity:
        yield evaluation.rank_by_popularity(held_out)
    if cfg.markov:
        yield evaluation.rank_by_markov(held_out)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Evaluate, run, argv)


if __name__ == "__main__":
    main()
