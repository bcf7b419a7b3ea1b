"""The methods of train_ranker: from its settings to a training, which is a function RankerInputs -> TrainedRanker."""

import logging
from collections.abc import Callable
from functools import partial

from seqrec.command.config import flatten
from seqrec.command.session import open_session
from seqrec.rankers.boosting import Boosting
from seqrec.rankers.chosen_columns import ChosenColumns, choose_columns
from seqrec.rankers.lightgbm_ranker import read_valid, train_lightgbm, trained_ranker
from seqrec.rankers.logistic_ranker import train_logistic_ranker
from seqrec.rankers.network_setup import NetworkSetup
from seqrec.rankers.network_training import train_network
from seqrec.rankers.samples import Samples
from seqrec.rankers.survey import Survey
from seqrec.rankers.train_ranker import RankerInputs, TrainedRanker
from seqrec.rankers.wide_deep_ranker import cross_places, trained_network
from seqrec.serving.opset import require_opset
from seqrec.settings.train_ranker import TrainRanker
from seqrec.storage import files
from seqrec.training.limits import Milestones, TrainingLimits

log = logging.getLogger("seqrec")

LIMITS = ("max_epochs", "patience", "checkpoint_every", "reader_workers", "memory_gb")  # no weight depends on them

Training = Callable[[RankerInputs], TrainedRanker]


def columns_of(cfg: TrainRanker, samples: Samples) -> ChosenColumns:
    """The columns that a method reads: those that the settings name, or those of feature_schema.json."""
    discrete = cfg.columns.discrete
    if cfg.method == "logistic":
        if samples.schema.discrete:
            log.info("columns left out, as method=logistic reads numbers alone: %s", ", ".join(samples.schema.discrete))
        discrete = []
    return choose_columns(samples, discrete=discrete, continuous=cfg.columns.continuous)


def boosted_trees(cfg: TrainRanker) -> Training:
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
    from seqrec.rankers.boosting_on_spark import train_trees_on_spark

    require_opset(opset)
    spark, encoding = open_session("train_ranker"), inputs.survey.encoding
    trees = train_trees_on_spark(spark, inputs.samples, encoding, read_valid(inputs), boosting, workers=processes)
    return trained_ranker(inputs, trees, boosting, opset=opset)


def wide_and_deep(cfg: TrainRanker) -> Training:
    """The training of method=wide_deep: in this process and those of torchrun, or in those that Spark starts."""

    def train_wide_deep(inputs: RankerInputs) -> TrainedRanker:
        """The best network."""
        require_opset(cfg.opset)
        setup = network_setup(cfg, inputs.samples, inputs.survey)
        if cfg.distributor == "spark":
            from seqrec.training.distributed import run_on_spark

            spark = open_session("train_ranker")
            run_on_spark(spark, partial(train_network, setup), processes=cfg.processes, folder=setup.folder)
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
        memory_gb=settings.memory_gb,
        seed=cfg.seed,
        folder=checkpoints_of(cfg),
        shaping=flatten({**depended, "label": cfg.label.model_dump(), "metric": cfg.metric, "seed": cfg.seed}),
    )


def checkpoints_of(cfg: TrainRanker) -> str:
    """The folder where a network's training is until its ranker is whole."""
    return files.join(cfg.output, "training")


def logistic_regression(cfg: TrainRanker) -> Training:
    """The training of method=logistic."""
    return partial(train_logistic_ranker, lambdas=cfg.logistic.lambda_l2, metric=cfg.metric, opset=cfg.opset)


METHODS = {"lightgbm": boosted_trees, "wide_deep": wide_and_deep, "logistic": logistic_regression}
