"""What settings and a dataset make of a training: its encoder, its loss, its name, and the memory it needs."""

from dataclasses import dataclass
from typing import Any

from seqrec.settings.train import Train, Training
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.training.inputs import Dataset
from seqrec.training.objective import build_sampler, loss_options
from seqrec.training.precision import estimate_gb


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained. Architecture is of models.encoders.ENCODERS, loss of models.losses.LOSSES, both with their arguments."""

    architecture: str
    arguments: dict[str, Any]
    loss: str
    options: dict[str, object]
    name: str
    needed_gb: float
    to_lower: str  # the keys that it needs less memory with


def weighs_users(settings: Training) -> bool:
    """Whether the model has embeddings of users."""
    return isinstance(settings, TrainTwoTower) and settings.encoder.user_weight > 0


def plan(settings: Training, dataset: Dataset, *, users: int, bf16: bool) -> Plan:
    """The plan of a training's settings, by their type; users is how many have embeddings."""
    if isinstance(settings, TrainTwoTower):
        return _two_tower(settings, dataset, users)
    assert isinstance(settings, Train)
    return _sequences(settings, dataset, bf16=bf16)


def _sequences(settings: Train, dataset: Dataset, *, bf16: bool) -> Plan:
    encoder, loss, max_len = settings.encoder, settings.loss, int(dataset.meta["max_len"])
    matrix = (len(dataset.items) + 2) * encoder.dim
    needed = estimate_gb(
        parameters=matrix + max_len * encoder.dim + encoder.blocks * (4 + 2 * encoder.ffn) * encoder.dim**2,
        matrix=matrix,
        states=1 if settings.optimizer.name == "sgd" else 2,
        positions=settings.batch_size * max_len,
        max_len=max_len,
        dim=encoder.dim,
        blocks=encoder.blocks,
        heads=encoder.heads,
        ffn=encoder.ffn,
    )
    shape = f"d{encoder.dim}-b{encoder.blocks}-h{encoder.heads}-l{max_len}-s{settings.seed}"
    return Plan(
        architecture="sasrec",
        arguments={"vocab_size": len(dataset.items), "max_len": max_len, **encoder.model_dump()},
        loss=loss.name,
        options=loss_options(counts=dataset.counts, bf16=bf16, **loss.model_dump()),
        name=settings.name or f"sasrec-{loss.name}-{shape}",
        needed_gb=needed,
        to_lower=f"batch_size, encoder.dim, .blocks, .heads or .ffn, or the dataset's max_len of {max_len} (build_sequences)",
    )


def _two_tower(settings: TrainTwoTower, dataset: Dataset, users: int) -> Plan:
    """The tower of histories keeps about as many activations a position as a block without attention and feed-forward."""
    encoder, loss, longest = settings.encoder, settings.loss, int(dataset.meta["max_len"])
    max_len = min(encoder.max_len or longest, longest)
    matrix = (len(dataset.items) + 2) * encoder.dim
    needed = estimate_gb(
        parameters=matrix + users * encoder.dim + encoder.dim**2,
        matrix=2 * matrix,  # rows as they are, and of length 1
        states=1 if settings.optimizer.name == "sgd" else 2,
        positions=settings.batch_size * longest,
        max_len=longest,
        dim=encoder.dim,
        blocks=1,
        heads=0,
        ffn=0,
    )
    sampler = build_sampler(loss.sampling, counts=dataset.counts, power=loss.power)
    weight = f"-g{encoder.user_weight:g}" if encoder.user_weight else ""
    return Plan(
        architecture="simplex",
        arguments={"vocab_size": len(dataset.items), **encoder.model_dump(), "max_len": max_len, "users": users},
        loss="ccl",
        options={"sampler": sampler, "negatives": loss.negatives, "margin": loss.margin, "weight": loss.weight},
        name=settings.name or f"simplex-d{encoder.dim}-l{max_len}{weight}-s{settings.seed}",
        needed_gb=needed,
        to_lower=f"batch_size or encoder.dim, or the dataset's max_len of {longest} (build_sequences)",
    )
