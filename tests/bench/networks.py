"""Rows that a network scores in Spark's Python workers: ranker.onnx of method=wide_deep in ONNX Runtime, against torch's predict.

Both encode the columns in the same way, and each task has one thread.
"""

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from jobs import train_ranker
from seqrec.models.wide_deep import WideDeep
from seqrec.rankers.chosen_columns import choose_columns
from seqrec.rankers.methods import network_setup
from seqrec.rankers.network_metrics import scores_of
from seqrec.rankers.network_training import train_network
from seqrec.rankers.samples import LabelColumn, open_samples
from seqrec.rankers.survey import survey
from seqrec.scoring.shipping import ship_ranker
from seqrec.serving.ranker_version import locate_ranker
from seqrec.settings.train_ranker import TrainRanker
from seqrec.training import checkpoint
from tests.bench.rankers import COPIES, ROWS, Predict, compare_scores, copied_rows
from tests.bench.timing import Comparison
from tests.rankers.toy import sample_table, write_samples


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """200,000 rows of 7 features through the network that conf/train_ranker.yaml describes, with a cross, after an epoch."""
    path = write_samples(root / "samples", sample_table(rows=ROWS))
    network = {"max_epochs": 1, "precision": "fp32", "crosses": [["user_id", "item_id"]]}
    fields = {"samples": str(root / "samples"), "output": str(root / "ranker"), "method": "wide_deep", "wide_deep": network}
    cfg = TrainRanker.model_validate(fields)
    weights = train_once(cfg)
    train_ranker.run(cfg)
    version = locate_ranker(str(root / "ranker"))
    shipped = ship_ranker(spark, version)
    rows = copied_rows(spark, path, version.meta)
    return compare_scores(
        f"network, {ROWS * COPIES:,} rows, ONNX and torch", rows, shipped, lambda: own_predict(weights), rounds=rounds
    )


def train_once(cfg: TrainRanker) -> bytes:
    """Train the network of the settings, whose job then finds the training done; its arguments and weights, in torch's format."""
    samples = open_samples(cfg.samples, label=LabelColumn())
    columns = choose_columns(samples, discrete=None, continuous=None)
    setup = network_setup(cfg, samples, survey(samples, columns, max_categories=cfg.max_categories))
    train_network(setup)
    best = checkpoint.load(checkpoint.find(setup.folder, "best"), keys=("model", "arguments"))
    sink = io.BytesIO()
    torch.save((best.arguments, best.model), sink)
    return sink.getvalue()


def own_predict(weights: bytes) -> Predict:
    """torch's own probabilities, of a network's arguments and weights."""
    torch.set_num_threads(1)
    arguments, model = torch.load(io.BytesIO(weights), weights_only=True)
    network = WideDeep(**arguments)
    network.load_state_dict(model)
    cpu = torch.device("cpu")

    def predict(features: NDArray[np.float32]) -> NDArray[np.float32]:
        return scores_of(network, features, cpu)

    return predict
