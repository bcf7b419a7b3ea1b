"""How fast each preset trains: `python -m tests.bench.presets [NAME …] [--rounds N]`.

A row for each preset: its weights on a catalogue of MovieLens-1M's size, and the positions a second of training steps. A step is
a forward and a backward pass, the loss and the optimiser, on 6400 positions in memory, in full windows of the preset's
length, else of 200 items, without reading or validation. On a machine that does other work too, compare presets by CPU time.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import pyarrow as pa
import torch
import yaml

from seqrec.settings.train import Train
from seqrec.storage.metadata import DatasetMeta
from seqrec.training.loader import Windows
from seqrec.training.optimizer import Schedule, build_optimizer
from seqrec.training.plan import PlanInputs
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.processes import Process
from seqrec.training.steps import Stepper, Stop
from seqrec.training.training_data import TrainingData
from tests.metas import dataset_meta

V, L, POSITIONS = 3416, 200, 6400
PRESETS = Path(__file__).parents[2] / "conf" / "presets"


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    names = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="python -m tests.bench.presets", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; none: all")
    parser.add_argument("--rounds", type=int, default=5, help="steps that count, after one that warms up; default 5")
    given = parser.parse_args(argv)
    sys.stdout.write("| preset | weights | positions/s (least–most) | positions a second of CPU time |\n|---|---|---|---|\n")
    for name in given.names or names:
        weights, walls, cpus = measure(name, rounds=given.rounds)
        sys.stdout.write(f"| {name} | {weights:,} | {_spread(walls)} | {_spread(cpus)} |\n")
        sys.stdout.flush()


def _spread(speeds: list[float]) -> str:
    return f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f})"


def measure(preset: str, *, rounds: int) -> tuple[int, list[float], list[float]]:
    """The number of weights, and the positions a second of each step after the first, by the clock and by CPU time."""
    recipe = yaml.safe_load((PRESETS / f"{preset}.yaml").read_text())
    settings = Train.model_validate({"data": "none", "model": "none", **recipe, "precision": "fp32"})
    plan = sequence_setup(settings).architecture.plan(PlanInputs(data=catalogue(), users=0, bf16=False))
    torch.manual_seed(1)
    model = plan.build()
    options = settings.optimizer
    schedule = Schedule.of(options, total_steps=1000)
    stepper = Stepper(
        process=Process(rank=0, world=1, device=torch.device("cpu")),
        task=plan.task,
        objective=plan.objective(model),
        optimizer=build_optimizer(model, options),
        schedule=schedule.rate,
        clip_norm=options.clip_norm,
        parts=1,
        bf16=False,
        seed=1,
    )
    length = settings.encoder.max_len or L
    number = POSITIONS // length
    items, users = torch.randint(2, V + 2, (number, length + 1)), torch.zeros(number, dtype=torch.int64)
    windows = Windows(items, users, torch.arange(number) % plan.passes)
    walls, cpus = [], []
    for step in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        stepper.step(windows, number=step, stop=Stop(late=False, signalled=False))
        walls.append(number * length / (time.perf_counter() - wall))
        cpus.append(number * length / (time.process_time() - cpu))
    return plan.count_parameters(), walls[1:], cpus[1:]


def catalogue() -> TrainingData:
    """A dataset of V items, of which a plan needs no more than the vocabulary."""
    columns = {"item_id": [str(item) for item in range(V)], "item_idx": list(range(2, V + 2)), "count": [1] * V}
    meta = DatasetMeta.model_validate({**dataset_meta("20260101T000000Z-0000", size=V), "max_len": L})
    return TrainingData(path="none", meta=meta, items=pa.table(columns))


if __name__ == "__main__":
    main()
