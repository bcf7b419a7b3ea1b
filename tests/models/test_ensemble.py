"""Several transformers as one model."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from seqrec.export.graph import Query, write_graph
from seqrec.export.parity import largest_difference
from seqrec.models.encoder import Encoder
from seqrec.models.ensemble import Ensemble
from seqrec.models.losses import cross_entropy
from seqrec.ragged import Ragged
from seqrec.training.objective import ItemObjective
from seqrec.training.tasks import ItemBatch

SHAPE: dict[str, Any] = {"vocab_size": 9, "max_len": 4, "dim": 8, "blocks": 1, "heads": 2, "ffn": 2, "dropout": 0.0}
ITEMS = torch.tensor([[0, 2, 5, 7], [3, 4, 10, 6]])


def ensemble(**parts: Any) -> Ensemble:
    torch.manual_seed(3)
    return Ensemble(members=3, **SHAPE, **parts).eval()


@pytest.mark.parametrize("parts", [{}, {"output_bias": True}, {"head": "cosine", "output": "separate"}], ids=str)
def test_its_score_is_the_mean_of_its_members_scores(parts: dict[str, Any]) -> None:
    model = ensemble(**parts)
    of_members = [part.query(ITEMS) @ part.item_matrix().T for part in model.parts()]
    assert not of_members[0].allclose(of_members[1])
    assert (model.query(ITEMS) @ model.item_matrix().T).allclose(torch.stack(of_members).mean(0), atol=1e-6)
    assert model(ITEMS)[:, -1].allclose(model.query(ITEMS), atol=1e-6)


def test_it_looks_back_as_its_members_do() -> None:
    model = ensemble(attention="bidirectional")
    assert model.looks_back
    scores = model.query_before(ITEMS) @ model.item_matrix().T
    of_members = [part.query_before(ITEMS) @ part.item_matrix().T for part in model.parts()]
    assert scores.allclose(torch.stack(of_members).mean(0), atol=1e-6)
    assert not ensemble().looks_back


def gradients(model: Encoder, batch: ItemBatch) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    objective = ItemObjective(model, loss=partial(cross_entropy), sampler=None, exclude_seen=True)
    loss = objective(batch).sum
    loss.backward()
    return float(loss.detach()), {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }


def test_each_member_learns_what_it_would_alone() -> None:
    model = ensemble()
    batch = ItemBatch(ITEMS[:, :-1], ITEMS[:, 1:].masked_fill(ITEMS[:, :-1] == 0, 0), torch.zeros(2, dtype=torch.int64))
    together, found = gradients(model, batch)
    alone = [gradients(part, batch) for part in model.parts()]
    assert together == pytest.approx(sum(loss for loss, _ in alone) / 3)
    for number, (_, expected) in enumerate(alone):
        for name, grad in expected.items():
            assert found[f"members.{number}.{name}"].mul(3).allclose(grad, atol=1e-5), name


def test_its_graph_computes_what_torch_does(tmp_path: Any) -> None:
    model = ensemble(position="rope", norm="rms", mlp="gated", attention_conv=3)
    write_graph(Query(model), tmp_path / "encoder.onnx", max_len=4, opset=18)
    histories = Ragged.of([[2], [5, 6, 7, 8, 9], [10, 3]])
    assert largest_difference(Query(model), tmp_path / "encoder.onnx", histories, max_len=4) < 1e-5
