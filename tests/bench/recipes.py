"""What each recipe reaches: `python -m tests.bench.recipes DATASET OUTPUT [NAME …] [--seeds N] [--minutes M]`.

A row for each preset, and one for `template` (conf/train.yaml without a preset): its weights, the events that it learned from in
a second, and the metrics of its best checkpoint on validation and test items, means over the seeds. Intervals are those of
chance among the users, 95 %, as in evaluate. Ranks too are those of evaluate: the whole catalogue, without what the user has had.

Each training goes on for M minutes at most, or to its recipe's own end, in OUTPUT/NAME-SEED; what is there already is not
trained again. The minutes are of the clock: nothing else should run beside it.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
import yaml
from numpy.typing import NDArray

from seqrec.evaluation.intervals import Drawn, resample
from seqrec.export.restore import build_encoder, read_checkpoint
from seqrec.metrics import MISS
from seqrec.ragged import Ragged
from seqrec.serving.topk import rank_targets
from seqrec.storage import versions

ROOT = Path(__file__).parents[2]
PRESETS, TEMPLATE = ROOT / "conf" / "presets", "template"
SPLITS, DEPTH, BATCH = ("valid", "test"), 10, 128

Gains = dict[str, NDArray[np.float64]]  # of each split: NDCG@10 and hit rate@10 of N users with one target, (N, 2)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A training that is over: its weights, the seconds of its steps, their epochs, and what its best checkpoint gains."""

    weights: int
    seconds: float
    epochs: float
    gains: Gains


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    names = [TEMPLATE, *sorted(path.stem for path in PRESETS.glob("*.yaml"))]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recipes", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("dataset", help="folder of build_sequences")
    parser.add_argument("output", type=Path, help="folder of the trainings")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; none: all")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each, by the seeds 1, 2, …; default 1")
    parser.add_argument("--minutes", type=float, help="most minutes of a training; default: to its recipe's end")
    given = parser.parse_args(argv)
    data = versions.resolve(given.dataset)
    events = sum(pq.read_table(path, columns=["length"])["length"].to_numpy().sum() - 1 for path in _files(data, "windows"))
    sys.stdout.write("| recipe | weights | events/s | epochs | validation NDCG@10 | HR@10 | test NDCG@10 | HR@10 |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|---|\n")
    for name in given.names or names:
        found = [train(name, seed, data, given.output, minutes=given.minutes) for seed in range(1, given.seeds + 1)]
        speed = float(np.median([outcome.epochs * events / outcome.seconds for outcome in found]))
        epochs = ", ".join(f"{outcome.epochs:.0f}" for outcome in found)
        figures = [figure for split in SPLITS for figure in describe([outcome.gains[split] for outcome in found])]
        sys.stdout.write(f"| {name} | {found[0].weights:,} | {speed:,.0f} | {epochs} | {' | '.join(figures)} |\n")
        sys.stdout.flush()


def train(name: str, seed: int, data: str, output: Path, *, minutes: float | None) -> Outcome:
    """Train a recipe unless that is done, and rank by its best checkpoint."""
    model = output / f"{name}-{seed}"
    done = model / "recipe.yaml"
    if not done.exists():
        keys = [f"data={data}", f"model={model}", f"seed={seed}", "tensorboard=false", "plots=false"]
        keys += [] if name == TEMPLATE else [f"preset={name}"]
        keys += [] if minutes is None else [f"max_minutes={minutes}"]
        command = [sys.executable, "jobs/train.py", "--conf", "conf/train.yaml", *keys]
        output.mkdir(parents=True, exist_ok=True)
        with (output / f"{name}-{seed}.log").open("w") as log:
            subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=True)
        done.write_text(yaml.safe_dump({"minutes": minutes}))
    epochs: list[dict[str, Any]] = [json.loads(line) for line in (model / "epochs.jsonl").read_text().splitlines()]
    weights = json.loads((model / "meta.json").read_text())["parameters"]
    return Outcome(weights=weights, seconds=epochs[-1]["seconds"], epochs=epochs[-1]["epoch"], gains=rank(str(model), data))


@torch.inference_mode()
def rank(model: str, data: str) -> Gains:
    """What the best checkpoint gains on the held-out users of each split."""
    trained = read_checkpoint(model, "best")
    encoder = build_encoder(trained)
    matrix, longest = encoder.item_matrix().float().numpy(), int(trained.checkpoint.arguments["max_len"])
    counts = np.concatenate([pq.read_table(path)["count"].to_numpy() for path in _files(data, "items")])
    gains = {}
    for split in SPLITS:
        tables = [pq.read_table(path, columns=["items", "seen", "targets"]) for path in _files(data, split)]
        lists = [
            [Ragged.of_arrow(chunk) for table in tables for chunk in table[name].chunks] for name in ("items", "seen", "targets")
        ]
        found = [
            _gains(rank_targets(_queries(encoder, items, longest), matrix, seen, targets), targets, counts)
            for items, seen, targets in zip(*lists, strict=True)
        ]
        gains[split] = np.concatenate(found)
    return gains


def _queries(encoder: Any, items: Ragged, longest: int) -> NDArray[np.float32]:
    """The queries (N, D) of histories, by their newest items."""
    found = [
        encoder.query(torch.from_numpy(items.left_padded(rows, max(1, min(longest, int(items.lengths[rows].max()))))))
        for rows in np.array_split(np.arange(len(items)), -(-len(items) // BATCH))
    ]
    queries: NDArray[np.float32] = torch.cat(found).float().numpy()
    return queries


def _gains(ranks: NDArray[np.int64], targets: Ragged, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """NDCG@10 and hit rate@10 of users with one target each (N, 2); a target without a training event is a miss."""
    if len(ranks) != len(targets):
        raise SystemExit("users have several targets: take a dataset with hold_out=1")
    ranks = np.where(counts[targets.values - 2] > 0, ranks, MISS)
    hit = (ranks > MISS) & (ranks <= DEPTH)
    return np.stack([np.where(hit, 1 / np.log2(1 + np.maximum(ranks, 1)), 0.0), hit.astype(float)], axis=1)


def describe(of_seeds: list[NDArray[np.float64]]) -> list[str]:
    """NDCG@10 and hit rate@10: the mean over users and seeds, the users' interval, and the mean of each seed."""
    each = np.mean(of_seeds, axis=0)  # (N, 2)
    ones = np.ones(len(each), dtype=np.int64)
    spans = resample(Drawn(names=["ndcg", "hit_rate"], sums=each, users=ones, counts=ones), seed=1)
    figures = []
    for column, (low, high) in enumerate(spans.values()):
        seeds = "" if len(of_seeds) == 1 else f" ({', '.join(f'{gains[:, column].mean():.4f}' for gains in of_seeds)})"
        figures.append(f"{each[:, column].mean():.4f} [{low:.4f}, {high:.4f}]{seeds}")
    return figures


def _files(data: str, table: str) -> list[Path]:
    """The Parquet files of a dataset's table."""
    return sorted(Path(data, table).glob("*.parquet"))


if __name__ == "__main__":
    main()
