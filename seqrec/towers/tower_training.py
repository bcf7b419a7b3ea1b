"""Two towers trained by the loop of `training`, in one process or many; an interrupted training goes on where it was.

step    users (B, Fu), items (C, Fi)        B positives, and the negatives that belong to a step (mixed negatives: Yang et al.
        vectors (B, D), (C, D)              2020, arXiv:2012.02282); the items of all are negatives of each user
        in-batch softmax, log q taken off   a sum of B cross-entropies
"""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from torch import nn

from seqrec.command.kept_log import keep_log
from seqrec.models.two_towers import TwoTowers, in_batch_softmax
from seqrec.rankers.row_batches import count_row_steps, shared_rows
from seqrec.storage import files, versions
from seqrec.storage.config_file import write_config
from seqrec.towers.matching_inputs import read_tower_catalogue
from seqrec.towers.tower_batches import TowerBatch, TowerRows, tower_batches, write_tower_rows
from seqrec.towers.tower_setup import TowerSetup
from seqrec.towers.tower_validation import ValidationEvents, judged_block, measure_towers, validation_events
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.loop import Trainer
from seqrec.training.memory import available_gb, require_memory
from seqrec.training.network_memory import NetworkPasses, estimate_network_gb
from seqrec.training.network_run import NetworkLesson, network_trainer, start_learner, take_folder
from seqrec.training.objective import Loss
from seqrec.training.precision import use_bf16
from seqrec.training.processes import Process, join_processes
from seqrec.training.sinks import COLUMNS
from seqrec.training.train import Trained

ARCHITECTURE = "feature_towers"


class TowerObjective(nn.Module):
    """The towers and their loss."""

    log_q: torch.Tensor

    def __init__(self, towers: TwoTowers, *, log_q: torch.Tensor, temperature: float) -> None:
        super().__init__()
        self.towers = towers
        self.temperature = temperature
        self.register_buffer("log_q", log_q, persistent=False)

    def forward(self, batch: TowerBatch) -> Loss:
        """The loss of a batch."""
        users, items = self.towers.users(batch.users), self.towers.items(batch.items)
        with torch.autocast(users.device.type, enabled=False):
            log_q = self.log_q[batch.numbers]
            return Loss(in_batch_softmax(users, items, batch.numbers, log_q, temperature=self.temperature), {})


def train_towers(setup: TowerSetup | None) -> Trained:
    """Start or resume a training; every process calls this, and all raise what one of them does.

    The setup is that of the first process, so that all learn from the same versions; the others may pass None. Raises UserError
    if a training of this folder is running or has other settings, or if a process has too few rows.
    """
    with join_processes() as process, ExitStack() as stack:
        setup = process.share(setup)
        assert setup is not None
        cache = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seqrec-towers-")))
        with process.together():
            rows = write_tower_rows(setup.inputs, setup.survey, process, cache)
            catalogue = read_tower_catalogue(setup.inputs, setup.data, new_items=False, cache=cache)
            events = validation_events(setup.survey, catalogue, process)
        trainer = _prepare(setup, process, rows, events, stack)
        try:
            metrics = trainer.run()
            return Trained(metrics=metrics, finished=trainer.limits.reached(trainer.progress))
        finally:
            for sink in trainer.sinks:
                sink.close()


def _prepare(setup: TowerSetup, process: Process, rows: TowerRows, events: ValidationEvents, stack: ExitStack) -> Trainer:
    """The trainer of one process; the stack holds the folder's lock from here on."""
    steps = count_row_steps(rows.positives.rows, batch_size=setup.batch_size, process=process, key="features.batch_size")
    bf16 = use_bf16(setup.precision, process.device)
    total_steps, samples = setup.limits.total_steps(steps), rows.tell(process)
    fingerprint = setup.fingerprint(process, bf16=bf16, total_steps=total_steps, samples=samples)
    with process.together():
        needed = estimate_network_gb(_passes(setup, rows, events, steps), setup.optimizer)
        limit = setup.memory_gb or available_gb(process.device)
        require_memory(needed, limit, advice="features.batch_size, features.embedding_size or features.max_categories")
        state, meta = _open_folder(setup, fingerprint, stack) if process.rank == 0 else (None, {})
    state, meta = process.share(state), process.share(meta)
    learner = start_learner(setup, _draw(setup, process, rows), process, state)
    log_q = torch.from_numpy(setup.survey.log_q if setup.log_q else 0 * setup.survey.log_q).to(process.device)
    lesson = NetworkLesson(
        objective=partial(TowerObjective, log_q=log_q, temperature=setup.temperature),
        batches=tower_batches(
            rows,
            steps=steps,
            rank=process.rank,
            pool_batches=setup.pool_batches,
            workers=setup.reader_workers,
            seed=setup.seed,
        ),
        measure=partial(measure_towers, events=events, process=process) if setup.validates else None,
        columns=tuple(column for column in COLUMNS if column.name != "loss"),
        tensorboard=setup.tensorboard,
        plots=setup.plots,
        optimizer_key="features.optimizer",
    )
    template = Checkpoint(model={}, architecture=ARCHITECTURE, arguments=setup.arguments, meta=meta, fingerprint=fingerprint)
    return network_trainer(setup, process, learner, lesson, template, bf16=bf16)


def _passes(setup: TowerSetup, rows: TowerRows, events: ValidationEvents, steps: int) -> NetworkPasses:
    """What a step and a validation send through the towers, for the estimate of memory."""
    users = min(setup.batch_size, rows.positives.rows)
    items = users + -(-rows.negatives.rows // steps)

    def learn(towers: TwoTowers) -> torch.Tensor:
        """The loss of a full batch."""
        mine, theirs = (
            towers.users(torch.zeros(users, rows.user_features)),
            towers.items(torch.zeros(items, events.items.shape[1])),
        )
        return in_batch_softmax(mine, theirs, torch.zeros(items, dtype=torch.int64), torch.zeros(items), temperature=1.0)

    return NetworkPasses(build=lambda: TwoTowers(**setup.arguments), learn=learn, judge=partial(judged_block, events=events))


def _open_folder(
    setup: TowerSetup, fingerprint: dict[str, object], stack: ExitStack
) -> tuple[Checkpoint | None, dict[str, object]]:
    """The state to resume, if there is one, and the meta.json of the model's folder, which is written."""
    state = take_folder(setup, fingerprint, stack, architecture=ARCHITECTURE, key="model", resume=setup.resume)
    meta: dict[str, object] = {
        "run_id": versions.new_run_id() if state is None else state.meta["run_id"],
        "name": setup.name,
        "dataset": setup.inputs.meta.dataset,
        "features": setup.inputs.meta.run_id,
        "id_types": setup.inputs.meta.id_types.model_dump(),
        "settings": setup.settings,
    }
    if state is None:
        files.remove(files.join(setup.folder, "log.txt"))
        versions.write_meta(setup.folder, meta)
    write_config(setup.folder, setup.settings)
    keep_log(setup.folder, append=True)
    return state, meta


def _draw(setup: TowerSetup, process: Process, rows: TowerRows) -> TwoTowers:
    """The towers with drawn weights, and the quantiles of positives of all processes."""
    torch.manual_seed(setup.seed)
    towers = TwoTowers(**setup.arguments)
    for tower, first in ((towers.users, 1), (towers.items, 1 + rows.user_features)):
        if tower.quantiles is not None:
            places = [first + place for place in tower.numbers]
            tower.quantiles.fit(shared_rows(rows.positives, places, process, seed=setup.seed))
    return towers.to(process.device)
