"""Samples into a ranker: trained, converted to ONNX, compared with ONNX Runtime, and measured on rows that it hasn't seen."""

import logging
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from seqrec.command.entry import run_job
from seqrec.command.screen import counted, listed, show
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft
from seqrec.rankers.boosting import Boosting
from seqrec.rankers.boosting_on_spark import train_trees_on_spark
from seqrec.rankers.chosen_columns import choose_columns
from seqrec.rankers.lightgbm_ranker import read_valid, train_lightgbm, trained_ranker
from seqrec.rankers.samples import LabelColumn, open_samples
from seqrec.rankers.survey import survey
from seqrec.rankers.train_ranker import (
    Parity,
    RankerInputs,
    TrainedRanker,
    importances_line,
    measure_ranker,
    metrics_table,
    write_ranker,
)
from seqrec.settings.train_ranker import TrainRanker
from seqrec.storage import files

log = logging.getLogger("seqrec")


def run(cfg: TrainRanker) -> None:
    """Train, convert, compare and measure, write a version of the ranker, and make it current.

    A Spark session is opened only where it is the way to a remote file system, or where it trains.
    """
    if not all(files.is_local(folder) for folder in (cfg.samples, cfg.output)):
        open_session("train_ranker")
    samples = open_samples(cfg.samples, label=LabelColumn(name=cfg.label.column, threshold=cfg.label.threshold))
    columns = choose_columns(samples, discrete=cfg.columns.discrete, continuous=cfg.columns.continuous)
    draft = open_draft(cfg, cfg.output)
    surveyed = survey(samples, columns, max_categories=cfg.max_categories)
    log.info("rows by split: %s; %s", listed(surveyed.rows), counted(len(surveyed.encoding.features), "feature"))
    if surveyed.left_out:
        log.info("rows left out: %s", listed(surveyed.left_out))
    with tempfile.TemporaryDirectory(prefix="seqrec-ranker-") as work:
        inputs = RankerInputs(samples=samples, survey=surveyed, work=Path(work))
        trained = METHODS[cfg.method](cfg)(inputs)
        measured = measure_ranker(inputs, trained, Parity(rows=cfg.parity_rows, tolerance=cfg.parity_tolerance))
        write_ranker(draft, inputs, measured, method=cfg.method)
    draft.commit(keep=cfg.keep)
    log.info("importance of the features: %s", importances_line(trained.importances))
    show(metrics_table(measured.metrics, method=cfg.method))
    end(made=f"ranker {draft.run_id}: {trained.summary}", path=draft.path)


def boosted_trees(cfg: TrainRanker) -> Callable[[RankerInputs], TrainedRanker]:
    """The training of method=lightgbm."""
    parameters = cfg.lightgbm.model_dump(exclude={"num_rounds", "max_depth"})
    boosting = Boosting(
        parameters={**parameters, "max_depth": cfg.lightgbm.max_depth or -1},
        num_rounds=cfg.lightgbm.num_rounds,
        metric=cfg.metric,
        patience=cfg.patience,
        seed=cfg.seed,
    )
    if cfg.distributor == "spark":
        return partial(_trees_on_spark, boosting=boosting, opset=cfg.opset, processes=cfg.processes)
    return partial(train_lightgbm, boosting=boosting, opset=cfg.opset)


def _trees_on_spark(inputs: RankerInputs, *, boosting: Boosting, opset: int, processes: int) -> TrainedRanker:
    """The training of method=lightgbm with distributor=spark."""
    spark, encoding = open_session("train_ranker"), inputs.survey.encoding
    trees = train_trees_on_spark(spark, inputs.samples, encoding, read_valid(inputs), boosting, workers=processes)
    return trained_ranker(inputs, trees, boosting, opset=opset)


METHODS = {"lightgbm": boosted_trees}


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(TrainRanker, run, argv)


if __name__ == "__main__":
    main()
