"""Preferences: the loss by hand, the frozen reference, what a training with pairs reads, reports, resumes and ends with."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from seqrec.errors import UserError
from seqrec.indices import MASK
from seqrec.models.encoder import Encoder
from seqrec.models.losses import cross_entropy
from seqrec.settings.train import Train
from seqrec.training import checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.loader import Windows
from seqrec.training.objective import ItemObjective, LearnedItems, reference_weights
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.preferences import PreferenceBatch, PreferenceObjective, PreferencePairs
from seqrec.training.stages import train_stages
from seqrec.training.train import run_training
from tests.training.conftest import INDICES, MASKED, MAX_LEN, RUN_ID, V, train, write

Make = Callable[..., Train]
PAIRS_ID = "20260103T000000Z-0003"
CAUSAL: dict[str, Any] = {"encoder": {"dim": 8, "blocks": 2, "heads": 2, "ffn": 2, "dropout": 0.0}}


class Sum(Encoder):
    """The query of a position is the sum of the items up to it."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)
        self.dropout = nn.Dropout(0.5)

    def forward(self, items: Tensor) -> Tensor:
        return (self.matrix[items] * (items != 0)[..., None]).cumsum(1)

    def query(self, items: Tensor) -> Tensor:
        queries: Tensor = self(items)[:, -1]
        return queries

    def item_matrix(self) -> Tensor:
        return self.matrix


def batch_of(*pairs: tuple[list[int], int, int]) -> PreferenceBatch:
    longest = max(len(context) for context, _, _ in pairs)
    rows = [[0] * (longest - len(context)) + [*context, chosen, rejected] for context, chosen, rejected in pairs]
    windows = Windows(torch.tensor(rows), *torch.zeros(2, len(rows), dtype=torch.int64))
    return PreferencePairs(max_len=longest, masks=False)(windows)


@pytest.mark.parametrize(
    ("supervised", "learned"), [(0.0, None), (0.25, None), (0.25, LearnedItems.of(torch.tensor([1, 1, 1, 1, 1, 0])))]
)
def test_the_loss_is_that_of_the_paper(supervised: float, learned: LearnedItems | None) -> None:
    """Equation 7 with log-probabilities of a whole softmax: its normaliser cancels. Shares are of sums over the pairs.

    The loss of the next items leaves out the last item where it has no training event.
    """
    torch.manual_seed(3)
    model = Sum(torch.randn(8, 4))
    items = ItemObjective(model, loss=cross_entropy, sampler=None, learned=learned)
    objective = PreferenceObjective(items, beta=0.7, supervised=supervised)
    with torch.no_grad():
        model.matrix.add_(0.3 * torch.randn(8, 4))
    pairs = [([2, 3], 4, 5), ([6], 2, 3), ([3, 3, 5], 6, 2)]
    loss = objective(batch_of(*pairs))

    def log_probability(of: Encoder, context: list[int], item: int, *, items: int = 6) -> float:
        matrix = of.item_matrix().detach()
        return float((matrix[2 : 2 + items] @ matrix[context].sum(0)).log_softmax(0)[item - 2])

    total, rewards = 0.0, []
    for context, chosen, rejected in pairs:
        now, before = (
            log_probability(of, context, chosen) - log_probability(of, context, rejected) for of in (model, objective.reference)
        )
        rewards.append(0.7 * (now - before))
        next_item = -log_probability(model, context, chosen, items=5 if learned else 6)
        total += (1 - supervised) * math.log1p(math.exp(-rewards[-1])) + supervised * next_item
    assert float(loss.sum.detach()) == pytest.approx(total, rel=1e-5)
    assert float(loss.extras["reward_margin"]) == pytest.approx(sum(rewards), rel=1e-4)
    assert float(loss.extras["reward_accuracy"]) == sum(reward > 0 for reward in rewards)
    loss.sum.backward()
    assert model.matrix.grad is not None
    assert all(weight.grad is None for weight in objective.reference.parameters())


def test_the_reference_stays_without_dropout_and_as_it_was() -> None:
    model = Sum(torch.randn(7, 4))
    objective = PreferenceObjective(ItemObjective(model, loss=cross_entropy, sampler=None), beta=1.0, supervised=0.5)
    objective.train()
    assert model.dropout.training
    assert not any(module.training for module in objective.reference.modules())
    assert list(reference_weights(objective, model)) == ["reference.matrix"]
    assert not reference_weights(ItemObjective(model, loss=cross_entropy, sampler=None), model)


def test_a_context_is_cut_and_ends_with_the_mask_where_both_sides_are_seen() -> None:
    windows = Windows(torch.tensor([[5, 6, 7, 8, 3], [0, 0, 4, 9, 2]]), *torch.zeros(2, 2, dtype=torch.int64))
    batch = PreferencePairs(max_len=2, masks=True)(windows)
    assert batch.items.inputs.tolist() == [[6, 7, MASK], [0, 4, MASK]]
    assert batch.items.targets.tolist() == [[0, 0, 8], [0, 0, 9]]
    assert [part.rejected.tolist() for part in batch.parts(2)] == [[3], [2]]
    assert batch.parts(2)[1].items.inputs.tolist() == [[4, MASK]]
    assert batch.losses == 2


def write_pairs(folder: Path, windows: list[list[int]], *, dataset: str = RUN_ID, reversed_: bool = False) -> None:
    """A version of preferences: each item of the circle rather than the one three further, or the other way round."""
    rows = [(window[:place], window[place]) for window in windows for place in range(1, len(window))]
    further = [2 + (chosen - 2 + 3) % V for _, chosen in rows]
    chosen = [chosen for _, chosen in rows]
    if reversed_:
        chosen, further = further, chosen
    parts = [
        {
            "context": pa.array([rows[i][0] for i in part], INDICES),
            "chosen": pa.array([chosen[i] for i in part], pa.int32()),
            "rejected": pa.array([further[i] for i in part], pa.int32()),
            "source": pa.array(["scored"] * len(part)),
            "user": pa.array([0] * len(part), pa.int64()),
        }
        for part in np.array_split(np.arange(len(rows)), 4)
    ]
    write(folder / PAIRS_ID / "preferences", parts)
    meta = {"run_id": PAIRS_ID, "dataset": dataset, "max_len": MAX_LEN, "counts": {"pairs": len(rows), "users": 60}}
    (folder / PAIRS_ID / "meta.json").write_text(json.dumps(meta))
    (folder / "CURRENT").write_text(PAIRS_ID + "\n")


@pytest.fixture
def preferring(settings: Make, windows: list[list[int]], tmp_path: Path) -> Make:
    """Settings of a training with pairs that begins from a model of the dataset, trained for an epoch."""

    def make(base: dict[str, Any] = CAUSAL, **keys: Any) -> Train:
        if not (tmp_path / "start").exists():
            train(settings(model=str(tmp_path / "start"), max_epochs=1, **base))
        if not (tmp_path / "pairs").exists():
            write_pairs(tmp_path / "pairs", windows)
        common = {"objective": "preferences", "init": str(tmp_path / "start"), "dpo": {"path": str(tmp_path / "pairs")}}
        return settings(**{**base, **common, **keys})

    return make


def weights_of(folder: Path, which: str) -> dict[str, Tensor]:
    return checkpoint.load(checkpoint.find(str(folder), which)).model


@pytest.mark.parametrize("base", [CAUSAL, MASKED], ids=["causal", "bidirectional"])
def test_it_learns_the_pairs_and_gets_better(base: dict[str, Any], preferring: Make, tmp_path: Path) -> None:
    """The first record is of the model of init; margins rise, and what is exported is the best of all."""
    best = train(preferring(base, max_epochs=4, dpo={"path": str(tmp_path / "pairs"), "beta": 1.0}))
    start, *epochs = read_records(str(tmp_path / "model"))
    assert start["step"] == 0
    assert start["ndcg@10"] == pytest.approx(read_records(str(tmp_path / "start"))[-1]["ndcg@10"])
    assert [record["reward_margin"] for record in epochs] == sorted(record["reward_margin"] for record in epochs)
    assert 0.5 < epochs[0]["reward_accuracy"] <= epochs[-1]["reward_accuracy"] <= 1
    assert 0 < epochs[-1]["dpo_loss"] < math.log(2)
    assert best["ndcg@10"] > start["ndcg@10"]


def test_one_that_never_gets_better_ends_with_what_it_began_from(
    preferring: Make, windows: list[list[int]], tmp_path: Path
) -> None:
    """Pairs that say the opposite: all epochs are worse, patience ends them, and the best is the start, bit by bit."""
    cfg = preferring()
    write_pairs(tmp_path / "opposite", windows, reversed_=True)
    cfg = preferring(dpo={"path": str(tmp_path / "opposite"), "supervised": 0.0, "beta": 0.5}, patience=2, max_epochs=9)
    best = train(cfg)
    records = read_records(str(tmp_path / "model"))
    assert [record["step"] > 0 for record in records] == [False, True, True]
    assert all(record["ndcg@10"] < records[0]["ndcg@10"] for record in records[1:])
    assert best["ndcg@10"] == records[0]["ndcg@10"]
    before, after = weights_of(tmp_path / "start", "best"), weights_of(tmp_path / "model", "best")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(weights_of(tmp_path / "model", "last")["items.weight"], before["items.weight"])


@pytest.mark.parametrize("optimizer", [{}, {"ema_decay": 0.9}], ids=["weights", "average"])
def test_it_resumes_to_the_same_bits(optimizer: dict[str, Any], preferring: Make, tmp_path: Path) -> None:
    """Stopped in mid-epoch and after the start, with the checkpoint of init gone: the reference is in `last`."""
    common = {"lr": 0.01, "warmup_steps": 2, "schedule": "constant", **optimizer}
    base = {"encoder": {**CAUSAL["encoder"], "dropout": 0.1, "max_len": 5}}
    whole = train(preferring(base, optimizer=common, max_epochs=2, model=str(tmp_path / "whole")))
    for steps in (3, 31):
        train(preferring(base, optimizer=common, max_epochs=2, max_steps=steps))
    continued = preferring(base, optimizer=common, max_epochs=2)
    (tmp_path / "start").rename(tmp_path / "elsewhere")
    assert train(continued) == whole
    for which in ("best", "last"):
        one, other = weights_of(tmp_path / "whole", which), weights_of(tmp_path / "model", which)
        assert all(torch.equal(one[name], other[name]) for name in one)
    records = [
        [{key: value for key, value in record.items() if "second" not in key} for record in read_records(str(tmp_path / name))]
        for name in ("whole", "model")
    ]
    assert records[0] == records[1]


def test_a_stage_may_learn_preferences(settings: Make, windows: list[list[int]], tmp_path: Path) -> None:
    """It begins from the best model of the stage before."""
    write_pairs(tmp_path / "pairs", windows)
    last = {"name": "pairs", "objective": "preferences", "dpo": {"path": str(tmp_path / "pairs")}}
    cfg = settings(max_epochs=1, stages=[{"name": "items"}, last], **CAUSAL)
    train_stages(cfg, plan=sequence_setup, run=run_training)
    before, start = (read_records(str(folder)) for folder in (tmp_path / "model" / "stages" / "items", tmp_path / "model"))
    assert start[0]["ndcg@10"] == before[-1]["ndcg@10"]
    assert "reward_margin" in start[-1]


@pytest.mark.parametrize(
    ("encoder", "lacks", "said"),
    [
        ({"heads": 4, "ffn": 4}, (), r"of another shape than the model, .*: set encoder\.heads=2, encoder\.ffn=2$"),
        (
            {"output_bias": True},
            ("output_bias",),
            r"has other weights than the model \(head\.bias \(not there\)\), and obj",
        ),
        ({"dropout": 0.3}, (), None),
    ],
)
def test_a_start_of_another_shape_is_refused(
    encoder: dict[str, Any], lacks: tuple[str, ...], said: str | None, preferring: Make, tmp_path: Path
) -> None:
    """Nothing is written then; the arguments of a checkpoint may lack what its encoder hasn't."""
    cfg = preferring(init=str(tmp_path / "init"), encoder={**CAUSAL["encoder"], **encoder}, max_steps=1)
    state = checkpoint.load(checkpoint.find(str(tmp_path / "start"), "best"))
    arguments = {key: value for key, value in state.arguments.items() if key not in lacks}
    checkpoint.save(replace(state, arguments=arguments), str(tmp_path / "init"), "last.pt")
    if said is None:
        assert train(cfg)
        return
    with pytest.raises(UserError, match=said):
        train(cfg)
    assert not (tmp_path / "model").exists()


def test_pairs_of_another_dataset_are_refused(preferring: Make, windows: list[list[int]], tmp_path: Path) -> None:
    preferring()
    write_pairs(tmp_path / "other", windows, dataset="20270101T000000Z-0001")
    with pytest.raises(UserError, match="has pairs of the dataset 20270101T000000Z-0001, and data is 2026"):
        train(preferring(dpo={"path": str(tmp_path / "other")}))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"objective": "next_item", "dpo": {"beta": 0.2}}, "dpo.beta is of objective=preferences"),
        ({"dpo": {}}, "set dpo.path to the folder of build_preferences"),
        ({"validate": False}, "it needs validate=true"),
        ({"init": None}, "set init="),
        ({"dpo": {"path": "p", "beta": 0}}, "greater than 0"),
        ({"encoder": {"attention": "bidirectional"}, "loss": {"exclude_seen": True}}, None),
    ],
)
def test_settings_that_do_not_fit_are_refused(keys: dict[str, Any], said: str | None) -> None:
    common = {"data": "d", "model": "m", "init": "i", "objective": "preferences", "dpo": {"path": "p"}}
    if said is None:
        Train.model_validate({**common, **keys})
    else:
        with pytest.raises(ValidationError, match=said):
            Train.model_validate({**common, **keys})
