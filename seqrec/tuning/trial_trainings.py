"""What a trial trains, by model_name: settings of the job into the metrics of its best model on valid."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seqrec.rankers.label_metrics import label_metrics
from seqrec.rankers.lightgbm_ranker import read_valid
from seqrec.rankers.methods import METHODS, columns_of
from seqrec.rankers.samples import LabelColumn, open_samples
from seqrec.rankers.survey import survey
from seqrec.rankers.train_ranker import RankerInputs
from seqrec.settings.train import Train
from seqrec.settings.train_ranker import TrainRanker
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.training.plan_simplex import PlanSimpleX
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.setup import training_setup
from seqrec.training.train import run_training


def train_sequence(cfg: Train) -> dict[str, float]:
    """A transformer by the settings of train."""
    return run_training(sequence_setup(cfg)).metrics


def train_simplex(cfg: TrainTwoTower) -> dict[str, float]:
    """SimpleX by the settings of train_two_tower: the training alone, without lists and Milvus."""
    return run_training(training_setup(cfg, PlanSimpleX(cfg.encoder, cfg.loss))).metrics


def train_scores(cfg: TrainRanker) -> dict[str, float]:
    """A ranker by the settings of train_ranker: its metrics on the rows of valid; those of test aren't read."""
    samples = open_samples(cfg.samples, label=LabelColumn(name=cfg.label.column, threshold=cfg.label.threshold))
    surveyed = survey(samples, columns_of(cfg, samples), max_categories=cfg.max_categories)
    with TemporaryDirectory(prefix="seqrec-ranker-") as work:
        inputs = RankerInputs(samples=samples, survey=surveyed, work=Path(work))
        trained = METHODS[cfg.method](cfg)(inputs)
        valid = read_valid(inputs)
        metrics = label_metrics(trained.predict(valid.features), valid.labels, valid.users)
    return {name: value for name, value in metrics.values.items() if value is not None}


TRAININGS: dict[str, Callable[[Any], dict[str, float]]] = {
    "sasrec": train_sequence,
    "bert4rec": train_sequence,
    "simplex": train_simplex,
    "lightgbm": train_scores,
    "wide_deep": train_scores,
}
