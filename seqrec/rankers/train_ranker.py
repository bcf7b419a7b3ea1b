"""Samples into a version of a ranker: surveyed, trained by a method, converted, compared with ONNX Runtime, measured, written.

A method is a function `RankerInputs -> TrainedRanker`. What it trains is converted to ONNX, and from then on the graph is what
counts: metrics are those of the graph in ONNX Runtime, on the rows of valid and of test, if there are any.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqrec.command.screen import aligned, counted, listed
from seqrec.errors import UserError
from seqrec.rankers.importances import PICTURE, TABLE, TABLE_PART, Importance, in_order, write_importances
from seqrec.rankers.label_metrics import LabelMetrics, MeanRating, label_metrics
from seqrec.rankers.sample_matrix import read_item_means, score_rows
from seqrec.rankers.samples import SPLITS, Samples
from seqrec.rankers.survey import Survey
from seqrec.serving.feature_encoding import Features
from seqrec.serving.ranker import ENCODING, GRAPH, GRAPH_WEIGHTS, Ranker, load_ranker
from seqrec.serving.sealed import hash_files
from seqrec.storage import files
from seqrec.storage.draft import Draft
from seqrec.storage.metadata import TrainedOn
from seqrec.storage.ranker_metadata import RankerMeta

log = logging.getLogger("seqrec")

RANKER, BASELINE = "ranker", "item_mean"
WRITTEN = (GRAPH, GRAPH_WEIGHTS, ENCODING, PICTURE, TABLE_PART)  # what a ranker may have, beside what its method adds
SHOWN = 10  # features on the screen


@dataclass(frozen=True, kw_only=True)
class RankerInputs:
    """What a method trains on: the samples, their encoding and counts, and an empty local folder for what it writes."""

    samples: Samples
    survey: Survey
    work: Path


@dataclass(frozen=True, kw_only=True)
class TrainedRanker:
    """What a method gives: the trained model's own scores, its graph, how much each feature matters, and further files.

    `write_graph(path)` writes ONNX with one input `features` (N, F) and one output `score` (N,); `extra` are names of files in
    the folder `work`, which belong to the version; `summary` says how far the training came.
    """

    predict: Callable[[Features], NDArray[np.float32]]
    write_graph: Callable[[Path], None]
    importances: list[Importance]
    summary: str
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How many rows are compared, and how far a score of ONNX Runtime may be from the trained model's."""

    rows: int = 10_000
    tolerance: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class MeasuredRanker:
    """A trained ranker that is open in ONNX Runtime, its largest difference from the trained model, and its metrics."""

    trained: TrainedRanker
    ranker: Ranker
    parity: dict[str, float]
    metrics: dict[str, dict[str, LabelMetrics]] = field(default_factory=dict)  # by split, then RANKER or BASELINE


def measure_ranker(inputs: RankerInputs, trained: TrainedRanker, parity: Parity) -> MeasuredRanker:
    """Convert, compare and measure; UserError if the graph and the trained model differ by more than the tolerance."""
    inputs.work.joinpath(ENCODING).write_text(inputs.survey.encoding.to_json(), "utf-8")
    trained.write_graph(inputs.work / GRAPH)
    names = [name for name in (GRAPH, GRAPH_WEIGHTS, ENCODING) if (inputs.work / name).exists()]
    ranker = load_ranker(str(inputs.work), tuple(hash_files(inputs.work, names).items()), 1)
    compared = compare_scores(inputs, trained, ranker, parity)
    metrics = measure_splits(ranker, inputs.samples, inputs.survey)
    return MeasuredRanker(trained=trained, ranker=ranker, parity=compared, metrics=metrics)


def compare_scores(inputs: RankerInputs, trained: TrainedRanker, ranker: Ranker, parity: Parity) -> dict[str, float]:
    """The rows of valid that are compared, and the largest difference of their scores; UserError if it is above the tolerance."""
    compared, largest = 0, 0.0
    for batch in inputs.samples.labelled("valid", ranker.encoding.names):
        features = ranker.encoding.encode(batch.rows)[: parity.rows - compared]
        largest = max(largest, float(np.abs(ranker.score_features(features) - trained.predict(features)).max(initial=0.0)))
        compared += len(features)
        if compared >= parity.rows:
            break
    log.info("ONNX Runtime and the trained model: max |Δ| = %.1e on %s", largest, counted(compared, "row"))
    if not largest <= parity.tolerance:
        raise UserError(
            f"ONNX Runtime and the trained model differ by {largest:.2e} on {inputs.samples.place}, above "
            f"parity_tolerance={parity.tolerance:.0e}; nothing was written: raise parity_tolerance if that is close enough"
        )
    return {"rows": compared, "largest_difference": largest}


def measure_splits(ranker: Ranker, samples: Samples, survey: Survey) -> dict[str, dict[str, LabelMetrics]]:
    """The metrics of valid and test, if it has rows, of the ranker and of the item's mean rating, if the samples have it."""
    baseline, metrics = MeanRating.fit(*read_item_means(samples, split="train")), {}
    for split in (split for split in SPLITS[1:] if survey.rows.get(split)):
        rows = score_rows(ranker, samples, split=split)
        metrics[split] = {RANKER: label_metrics(rows.scores, rows.labels, rows.users)}
        if baseline is not None:
            metrics[split][BASELINE] = label_metrics(baseline.score(rows.item_means), rows.labels, rows.users)
        if metrics[split][RANKER].gauc is None:
            log.info("no GAUC on %s: no user has rows of both labels there (build_sequences hold_out=10 holds out more)", split)
    return metrics


def metrics_table(metrics: Mapping[str, Mapping[str, LabelMetrics]], *, method: str) -> str:
    """The metrics as lines for the screen."""
    names = {RANKER: method, BASELINE: "item's mean rating"}
    lines = [["", "AUC", "GAUC", "log loss", "rows", "positive"]]
    for split, measured in metrics.items():
        for who, metric in measured.items():
            numbers = [_number(metric.auc), _number(metric.gauc), _number(metric.log_loss)]
            lines.append([f"{split} {names[who]}", *numbers, f"{metric.rows:,}", f"{metric.positives:,}"])
    return aligned(lines)


def importances_line(importances: list[Importance]) -> str:
    """The most important features, on one line."""
    return listed({importance.feature: round(importance.share, 3) for importance in in_order(importances)[:SHOWN]})


def write_ranker(draft: Draft, inputs: RankerInputs, measured: MeasuredRanker, *, method: str) -> None:
    """Put the files of a ranker into the draft, and meta.json last."""
    samples, survey, work = inputs.samples, inputs.survey, inputs.work
    write_importances(measured.trained.importances, work, title=f"{method}: importance of the features")
    names = [name for name in (*WRITTEN, *measured.trained.extra) if (work / name).exists()]
    for name in names:
        files.put(work / name, files.join(draft.path, name))
    files.write_text(files.join(draft.path, TABLE, "_SUCCESS"), "")
    RankerMeta(
        run_id=draft.run_id,
        method=method,
        id_types=samples.meta.id_types,
        samples=TrainedOn(
            table=samples.table,
            run_id=samples.meta.run_id,
            dataset=samples.meta.dataset,
            history=samples.meta.history,
            rows=survey.rows,
        ),
        feature_schema=samples.schema,
        columns=survey.encoding.names,
        sources=samples.meta.sources,
        files=hash_files(work, names),
        metrics={
            split: {who: metric.values for who, metric in by_method.items()} for split, by_method in measured.metrics.items()
        },
        parity=measured.parity,
        settings=draft.settings,
    ).write(draft.path)


def _number(value: float | None) -> str:
    """A metric for the screen."""
    return "–" if value is None else f"{value:.4f}"
