"""method=lightgbm, from samples to a trained ranker: rows into memory, trees, their graph and importances."""

from functools import partial

from seqrec.command.free_memory import free_memory
from seqrec.errors import UserError
from seqrec.rankers.boosting import Boosting, Trees, require_splits, train_trees
from seqrec.rankers.importances import Importance
from seqrec.rankers.sample_matrix import SampleMatrix, read_matrix
from seqrec.rankers.train_ranker import RankerInputs, TrainedRanker
from seqrec.rankers.tree_graph import write_tree_graph
from seqrec.serving.opset import require_opset

BYTES = 6  # of a feature of a row: a float32, and a bin of at most 16 bits
BOOSTER = "booster.txt"  # the trees in LightGBM's own format


def train_lightgbm(inputs: RankerInputs, *, boosting: Boosting, opset: int) -> TrainedRanker:
    """Train on the rows of train, stop early by those of valid; UserError if this machine's memory doesn't hold them."""
    require_opset(opset)
    require_memory(inputs.survey.rows, len(inputs.survey.encoding.features))
    train = read_matrix(inputs.samples, inputs.survey.encoding, split="train", rows=inputs.survey.rows["train"])
    valid = read_valid(inputs)
    names = [feature.name for feature in inputs.survey.encoding.features]
    return trained_ranker(inputs, train_trees(train, valid, boosting, names=names), boosting, opset=opset)


def require_memory(rows: dict[str, int], features: int) -> None:
    """Raise UserError if the rows of train and valid need more than the free memory: as float32, and as LightGBM's bins."""
    needed, free = (rows["train"] + rows["valid"]) * features * BYTES, free_memory()
    if needed > free:
        raise UserError(
            f"{rows['train']:,} rows of train and {rows['valid']:,} of valid with {features} features need {needed / 2**30:.1f} "
            f"GiB, {free / 2**30:.1f} are free: train on the cluster (distributor=spark processes=N), or name fewer columns"
        )


def read_valid(inputs: RankerInputs) -> SampleMatrix:
    """The rows of valid in memory."""
    return read_matrix(inputs.samples, inputs.survey.encoding, split="valid", rows=inputs.survey.rows["valid"])


def trained_ranker(inputs: RankerInputs, trees: Trees, boosting: Boosting, *, opset: int) -> TrainedRanker:
    """Trees as a trained ranker; the booster is written too. Raises UserError if none of the trees has a split."""
    require_splits(trees)
    names = [feature.name for feature in inputs.survey.encoding.features]
    trees.booster.save_model(str(inputs.work / BOOSTER), num_iteration=trees.rounds)
    return TrainedRanker(
        predict=trees.predict,
        write_graph=partial(write_tree_graph, trees.tree_info, features=len(names), opset=opset),
        importances=tree_importances(trees, names),
        summary=f"{trees.rounds:,} trees, {boosting.metric} {trees.reached:.4f} on valid",
        extra=(BOOSTER,),
    )


def tree_importances(trees: Trees, names: list[str]) -> list[Importance]:
    """Each feature's share of the gain of all splits, and the number of its splits."""
    gains = trees.booster.feature_importance("gain", iteration=trees.rounds)
    splits = trees.booster.feature_importance("split", iteration=trees.rounds)
    return [
        Importance(feature=name, share=float(gain / gains.sum()), splits=int(count))
        for name, gain, count in zip(names, gains, splits, strict=True)
    ]
