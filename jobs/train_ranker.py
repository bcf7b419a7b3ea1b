"""Samples into a ranker: trained, converted to ONNX, compared with ONNX Runtime, and measured on rows that it hasn't seen.

A network in several processes: `torchrun --nproc-per-node N jobs/train_ranker.py method=wide_deep …`, or
`distributor=spark processes=N`.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from seqrec.command.config import flatten
from seqrec.command.entry import run_job
from seqrec.command.screen import counted, listed, show
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft
from seqrec.errors import UserError
from seqrec.rankers.boosting import Boosting
from seqrec.rankers.boosting_on_spark import train_trees_on_spark
from seqrec.rankers.chosen_columns import choose_columns
from seqrec.rankers.lightgbm_ranker import read_valid, require_opset, train_lightgbm, trained_ranker
from seqrec.rankers.network_setup import NetworkSetup
from seqrec.rankers.network_training import train_network
from seqrec.rankers.samples import LabelColumn, Samples, open_samples
from seqrec.rankers.survey import Survey, survey
from seqrec.rankers.train_ranker import (
    Parity,
    RankerInputs,
    TrainedRanker,
    importances_line,
    measure_ranker,
    metrics_table,
    write_ranker,
)
from seqrec.rankers.wide_deep_ranker import cross_places, trained_network
from seqrec.settings.train_ranker import TrainRanker
from seqrec.storage import files
from seqrec.training.limits import Milestones, TrainingLimits
from seqrec.training.processes import leads

LIMITS = ("max_epochs", "patience", "checkpoint_every", "reader_workers")  # no weight depends on them

log = logging.getLogger("seqrec")


def run(cfg: TrainRanker) -> None:
    """Train, convert, compare and measure, write a version of the ranker, and make it current.

    A Spark session is opened only where it is the way to a remote file system, or where it trains.
    """
    if cfg.method == "lightgbm" and (started := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise UserError(f"method=lightgbm in each of {started} processes of torchrun: leave torchrun out")
    if not all(files.is_local(folder) for folder in (cfg.samples, cfg.output)):
        open_session("train_ranker")
    samples = open_samples(cfg.samples, label=LabelColumn(name=cfg.label.column, threshold=cfg.label.threshold))
    columns = choose_columns(samples, discrete=cfg.columns.discrete, continuous=cfg.columns.continuous)
    if not leads():
        train_network(network_setup(cfg, samples, survey(samples, columns, max_categories=cfg.max_categories)))
        return
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
    if cfg.method == "wide_deep":
        files.remove(checkpoints_of(cfg))
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
    require_opset(inputs.work, opset)
    spark, encoding = open_session("train_ranker"), inputs.survey.encoding
    trees = train_trees_on_spark(spark, inputs.samples, encoding, read_valid(inputs), boosting, workers=processes)
    return trained_ranker(inputs, trees, boosting, opset=opset)


def wide_and_deep(cfg: TrainRanker) -> Callable[[RankerInputs], TrainedRanker]:
    """The training of method=wide_deep: in this process and those of torchrun, or in those that Spark starts."""

    def train_wide_deep(inputs: RankerInputs) -> TrainedRanker:
        """The best network."""
        require_opset(inputs.work, cfg.opset)
        setup = network_setup(cfg, inputs.samples, inputs.survey)
        if cfg.distributor == "spark":
            from seqrec.training.distributed import run_on_spark

            spark = open_session("train_ranker")
            run_on_spark(spark, partial(train_network, setup), processes=cfg.processes)
        else:
            train_network(setup)
        return trained_network(setup, inputs, read_valid(inputs), opset=cfg.opset)

    return train_wide_deep


def network_setup(cfg: TrainRanker, samples: Samples, surveyed: Survey) -> NetworkSetup:
    """The training of a network that the settings describe."""
    settings, features = cfg.wide_deep, surveyed.encoding.features
    shape = ("cross_buckets", "use_wide", "embedding_size", "hidden_units", "dropout")
    arguments = {
        "codes": [feature.codes for feature in features],
        "crosses": cross_places(settings.crosses, features),
        **{name: getattr(settings, name) for name in shape},
    }
    depended = settings.model_dump(exclude={*LIMITS})
    return NetworkSetup(
        samples=samples,
        encoding=surveyed.encoding,
        valid_rows=surveyed.rows["valid"],
        arguments=arguments,
        optimizer=settings.optimizer,
        limits=TrainingLimits(epochs=settings.max_epochs, steps=None, minutes=None, patience=settings.patience),
        milestones=Milestones(
            validate_every=settings.validate_every,
            checkpoint_every=settings.checkpoint_every,
            metric=cfg.metric,
            log_every=None,
        ),
        batch_size=settings.batch_size,
        pool_batches=settings.pool_batches,
        reader_workers=settings.reader_workers,
        precision=settings.precision,
        seed=cfg.seed,
        folder=checkpoints_of(cfg),
        shaping=flatten({**depended, "label": cfg.label.model_dump(), "metric": cfg.metric, "seed": cfg.seed}),
    )


def checkpoints_of(cfg: TrainRanker) -> str:
    """The folder where a network's training is until its ranker is whole."""
    return files.join(cfg.output, "training")


METHODS = {"lightgbm": boosted_trees, "wide_deep": wide_and_deep}


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(TrainRanker, run, argv)


if __name__ == "__main__":
    main()
