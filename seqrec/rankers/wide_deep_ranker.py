"""method=wide_deep, from samples to a trained ranker: the network, its graph, and how much its features matter."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from seqrec.errors import UserError
from seqrec.models.onnx_graph import GraphInput, write_module
from seqrec.models.wide_deep import Probability, WideDeep
from seqrec.rankers.importances import Importance
from seqrec.rankers.label_metrics import log_loss
from seqrec.rankers.network_metrics import scores_of
from seqrec.rankers.network_setup import NetworkSetup
from seqrec.rankers.sample_matrix import SampleMatrix
from seqrec.rankers.train_ranker import RankerInputs, TrainedRanker
from seqrec.serving.feature_encoding import Encoding, Feature
from seqrec.serving.ranker import FEATURES, SCORE
from seqrec.storage import files
from seqrec.training import checkpoint

EPOCHS = "epochs.jsonl"  # the records of the training, which become a file of the ranker
PERMUTED_ROWS = 10_000  # of valid, by which importances are measured
CPU = torch.device("cpu")


def cross_places(crosses: Sequence[Sequence[str]], features: Sequence[Feature]) -> list[tuple[int, ...]]:
    """The places of the features that each cross names; UserError, which names the column, unless all are discrete features.

    >>> cross_places([["genre", "age"]], [Feature(name="age", codes=3), Feature(name="genre", codes=5)])
    [(1, 0)]
    """
    places = {feature.name: place for place, feature in enumerate(features) if feature.codes}
    for name in (name for cross in crosses for name in cross):
        if name not in places:
            raise UserError(
                f"wide_deep.crosses: {name} is no discrete column of the ranker, whose discrete columns are "
                f"{', '.join(places) or 'none'}: name one of these, or take {name} into columns.discrete"
            )
    return [tuple(places[name] for name in cross) for cross in crosses]


def trained_network(setup: NetworkSetup, inputs: RankerInputs, valid: SampleMatrix, *, opset: int) -> TrainedRanker:
    """The best network of a training as a trained ranker."""
    path = checkpoint.find(setup.folder, "best")
    best = checkpoint.load(path, keys=("model", "arguments"))
    network = WideDeep(**best.arguments)
    network.load_state_dict(best.model)
    network.eval()
    inputs.work.joinpath(EPOCHS).write_text(files.read_text(files.join(setup.folder, EPOCHS)), "utf-8")
    metric = setup.milestones.metric
    reached = f", {metric} {best.metrics[metric]:.4f} on valid" if metric in best.metrics else ""
    return TrainedRanker(
        predict=lambda features: scores_of(network, features, CPU),
        write_graph=partial(write_network_graph, network, opset=opset),
        importances=permutation_importances(network, setup.encoding, valid, seed=setup.seed),
        summary=f"step {best.step:,}{reached}",
        extra=(EPOCHS,),
    )


def write_network_graph(network: WideDeep, path: Path, *, opset: int) -> None:
    """Write ONNX with one input `features` (N, F) and one output `score` (N,)."""
    example = torch.zeros(2, len(network.discrete) + len(network.continuous))
    rows = GraphInput(FEATURES, example, {0: torch.export.Dim("rows")})
    write_module(Probability(network), path, inputs=[rows], output=SCORE, opset=opset)


def permutation_importances(network: WideDeep, encoding: Encoding, valid: SampleMatrix, *, seed: int) -> list[Importance]:
    """Each feature's share of the rises of the log loss when the feature is shuffled among rows of valid (Breiman 2001).

    A feature that doesn't raise it has the share 0.
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(valid.labels))[:PERMUTED_ROWS])
    features, labels = valid.features[rows], valid.labels[rows]
    usual = log_loss(scores_of(network, features, CPU), labels)
    rises = []
    for place in range(features.shape[1]):
        shuffled = features.copy()
        shuffled[:, place] = features[rng.permutation(len(rows)), place]
        rises.append(max(0.0, log_loss(scores_of(network, shuffled, CPU), labels) - usual))
    total = sum(rises) or 1.0
    return [Importance(feature=feature.name, share=rise / total) for feature, rise in zip(encoding.features, rises, strict=True)]
