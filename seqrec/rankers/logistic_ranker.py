"""method=logistic, from samples to a trained ranker: rows into memory, weights, their graph, and how much features matter."""

from collections.abc import Sequence
from functools import partial

from seqrec.rankers.boosting import Metric
from seqrec.rankers.importances import Importance
from seqrec.rankers.lightgbm_ranker import read_valid
from seqrec.rankers.logistic import LogisticModel, train_logistic
from seqrec.rankers.logistic_graph import write_logistic_graph
from seqrec.rankers.sample_matrix import SampleMatrix, read_matrix
from seqrec.rankers.train_ranker import RankerInputs, TrainedRanker
from seqrec.serving.opset import require_opset


def train_logistic_ranker(inputs: RankerInputs, *, lambdas: Sequence[float], metric: Metric, opset: int) -> TrainedRanker:
    """Fit the weights on the rows of train, and choose their λ by those of valid."""
    require_opset(opset)
    train = read_matrix(inputs.samples, inputs.survey.encoding, split="train", rows=inputs.survey.rows["train"])
    model, reached = train_logistic(train, read_valid(inputs), lambdas=lambdas, metric=metric)
    return TrainedRanker(
        predict=model.predict,
        write_graph=partial(write_logistic_graph, model, opset=opset),
        importances=_importances(model, train, [feature.name for feature in inputs.survey.encoding.features]),
        summary=f"lambda_l2={model.lambda_l2:g}, {metric} {reached:.4f} on valid",
    )


def _importances(model: LogisticModel, train: SampleMatrix, names: list[str]) -> list[Importance]:
    """Each feature's share of the sum of how far they move the log odds."""
    moved = model.contributions(train.features)
    total = float(moved.sum()) or 1.0
    return [Importance(feature=name, share=float(one) / total) for name, one in zip(names, moved, strict=True)]
