"""A network's own probabilities of encoded rows, and its metrics on the rows of valid."""

import numpy as np
import torch
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.models.wide_deep import WideDeep
from seqrec.rankers.label_metrics import label_metrics
from seqrec.rankers.sample_matrix import SampleMatrix
from seqrec.serving.feature_encoding import Features
from seqrec.training.processes import Process

SCORED_ROWS = 8192  # at once


def scores_of(network: WideDeep, features: Features, device: torch.device) -> NDArray[np.float32]:
    """The network's probabilities (N,) of features (N, F), in evaluation mode and fp32; its mode is as before afterwards."""
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        blocks = torch.split(torch.from_numpy(features), SCORED_ROWS)
        parts = [torch.sigmoid(network(rows.to(device))).cpu().numpy() for rows in blocks]
    network.train(was_training)
    return np.concatenate([np.zeros(0, np.float32), *parts])


def measure_network(network: WideDeep, valid: SampleMatrix, *, process: Process, metric: str) -> dict[str, float]:
    """auc, gauc and log_loss of the rows of valid, of which each process scores a share; the same in all processes.

    Raises UserError if the metric that the best model is chosen by isn't defined.
    """
    mine = slice(process.rank, None, process.world)
    scores = torch.zeros(len(valid.labels), dtype=torch.float64)
    scores[mine] = torch.from_numpy(scores_of(network, valid.features[mine], process.device)).double()
    found = label_metrics(process.sum(scores).numpy(), valid.labels, valid.users)
    values = {"auc": found.auc, "gauc": found.gauc, "log_loss": found.log_loss}
    if values[metric] is None:
        raise UserError(f"metric={metric} isn't defined: no user has rows of valid of both labels; set metric=auc")
    return {name: value for name, value in values.items() if value is not None}
