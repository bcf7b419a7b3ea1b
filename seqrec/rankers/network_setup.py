"""A training of a network as a ranker: what it learns from, how, and what its weights depend on."""

import hashlib
from dataclasses import dataclass
from typing import Any

from seqrec.rankers.samples import Samples
from seqrec.serving.feature_encoding import Encoding
from seqrec.settings.training import Optimizer
from seqrec.training.fingerprint import Flat
from seqrec.training.limits import Milestones, TrainingLimits
from seqrec.training.processes import Process


@dataclass(frozen=True, kw_only=True)
class NetworkSetup:
    """A training of a network on samples. It is pickled to other processes: it holds no secret."""

    samples: Samples
    encoding: Encoding
    valid_rows: int
    arguments: dict[str, Any]  # of WideDeep
    optimizer: Optimizer
    limits: TrainingLimits
    milestones: Milestones
    batch_size: int  # rows of a process in a step
    pool_batches: int
    reader_workers: int
    precision: str
    memory_gb: float | None
    seed: int
    folder: str  # of the checkpoints
    shaping: Flat  # the settings that the weights depend on

    def fingerprint(self, process: Process, *, bf16: bool, total_steps: int) -> Flat:
        """What the weights depend on: a training is resumed only if that is still the same."""
        ends = self.optimizer.schedule in ("cosine", "linear") or self.optimizer.warmup_steps is None
        return {
            **self.shaping,
            "samples": f"{self.samples.meta.run_id}/{self.samples.table}",
            "encoding": hashlib.sha256(self.encoding.to_json().encode()).hexdigest(),
            "processes": process.world,
            "bf16": bf16,
            "total_steps": total_steps if ends else None,
        }
