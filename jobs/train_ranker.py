"""Samples into a ranker: trained, converted to ONNX, compared with ONNX Runtime, and measured on rows that it hasn't seen.

A network in several processes: `torchrun --nproc-per-node N jobs/train_ranker.py method=wide_deep …`, or
`distributor=spark processes=N`.
"""

import logging
import os
import tempfile
from pathlib import Path

from seqrec.command.entry import run_job
from seqrec.command.screen import counted, listed, show
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft
from seqrec.errors import UserError
from seqrec.rankers.methods import METHODS, checkpoints_of, columns_of, network_setup
from seqrec.rankers.network_training import train_network
from seqrec.rankers.samples import LabelColumn, open_samples
from seqrec.rankers.survey import survey
from seqrec.rankers.train_ranker import Parity, RankerInputs, importances_line, measure_ranker, metrics_table, write_ranker
from seqrec.settings.train_ranker import TrainRanker
from seqrec.storage import files
from seqrec.tracking.tracked import add_metrics
from seqrec.training.processes import leads

log = logging.getLogger("seqrec")


def run(cfg: TrainRanker) -> None:
    """Train, convert, compare and measure, write a version of the ranker, and make it current.

    A Spark session is opened only where it is the way to a remote file system, or where it trains.
    """
    if cfg.method != "wide_deep" and (started := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise UserError(f"method={cfg.method} in each of {started} processes of torchrun: leave torchrun out")
    if not all(files.is_local(folder) for folder in (cfg.samples, cfg.output)):
        open_session("train_ranker")
    samples = open_samples(cfg.samples, label=LabelColumn(name=cfg.label.column, threshold=cfg.label.threshold))
    columns = columns_of(cfg, samples)
    if not leads():
        train_network(network_setup(cfg, samples, survey(samples, columns, max_categories=cfg.max_categories)))
        return
    draft = open_draft(cfg, cfg.output, trains=cfg.method == "wide_deep")
    surveyed = survey(samples, columns, max_categories=cfg.max_categories)
    log.info("rows by split: %s; %s", listed(surveyed.rows), counted(len(surveyed.encoding.features), "feature"))
    if surveyed.left_out:
        log.info("rows left out: %s", listed(surveyed.left_out))
    with tempfile.TemporaryDirectory(prefix="seqrec-ranker-") as work:
        inputs = RankerInputs(samples=samples, survey=surveyed, work=Path(work))
        trained = METHODS[cfg.method](cfg)(inputs)
        measured = measure_ranker(inputs, trained, Parity(rows=cfg.parity_rows, tolerance=cfg.parity_tolerance))
        write_ranker(draft, inputs, measured, method=cfg.method)
    add_metrics({split: {who: one.values for who, one in by_who.items()} for split, by_who in measured.metrics.items()})
    draft.commit(keep=cfg.keep)
    if cfg.method == "wide_deep":
        files.remove(checkpoints_of(cfg))
    log.info("importance of the features: %s", importances_line(trained.importances))
    show(metrics_table(measured.metrics, method=cfg.method))
    end(made=f"ranker {draft.run_id}: {trained.summary}", path=draft.path)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(TrainRanker, run, argv)


if __name__ == "__main__":
    main()
