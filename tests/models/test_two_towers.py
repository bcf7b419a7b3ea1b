"""Two towers: their loss against a double loop, and what is unknown."""

import math

import pytest
import torch

from seqrec.models.two_towers import Tower, TowerColumn, TowerSizes, in_batch_softmax

COLUMNS = [TowerColumn(codes=5, own_id=True), TowerColumn(codes=4, width=3), TowerColumn(codes=0, width=2)]


def tower(**changed: float) -> Tower:
    """A tower of an id, a list and two numbers, with drawn weights."""
    torch.manual_seed(3)
    sizes = {"dim": 4, "embedding_size": 3, "hidden_units": [], "dropout": 0.0, "unknown_share": 0.5, **changed}
    network = Tower(COLUMNS, TowerSizes(**sizes))  # type: ignore[arg-type]
    for name, weight in network.state_dict().items():
        if name.startswith("embeddings"):
            weight *= 20  # so that a code is seen in the vector
    return network


@pytest.mark.parametrize("extra", [0, 3])
def test_the_loss_is_that_of_a_double_loop(extra: int) -> None:
    torch.manual_seed(1)
    users, items = torch.randn(4, 5), torch.randn(4 + extra, 5)
    numbers, log_q = torch.tensor([7, 8, 7, 9, 8, 2, 9])[: 4 + extra], torch.randn(4 + extra)
    expected = 0.0
    for user in range(4):
        logits = [float(users[user] @ items[place]) / 0.2 - float(log_q[place]) for place in range(len(items))]
        others = [value for place, value in enumerate(logits) if place == user or numbers[place] != numbers[user]]
        expected += math.log(sum(map(math.exp, others))) - logits[user]
    assert float(in_batch_softmax(users, items, numbers, log_q, temperature=0.2)) == pytest.approx(expected, rel=1e-5)


def test_vectors_have_length_one_and_a_list_counts_by_its_known_entries() -> None:
    network = tower().eval()
    rows = torch.tensor([[1, 2, 3, 0, 0.5, 1.0], [1, 0, 3, 2, 0.5, 1.0], [1, 2, 2, 0, 0.5, 1.0], [1, 0, 0, 0, torch.nan, 1.0]])
    vectors = network(rows)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(4))
    assert torch.allclose(vectors[0], vectors[1]), "order and padding"
    assert not torch.allclose(vectors[0], vectors[2])
    assert torch.isfinite(vectors).all()


def test_the_own_id_is_unknown_for_a_share_of_the_rows_of_a_training_alone() -> None:
    network = tower()
    rows = torch.tensor([[2, 1, 0, 0, 0.0, 0.0]]).repeat(200, 1)
    known, unknown = network.eval()(rows[:1]), network.eval()(rows[:1] * torch.tensor([0, 1, 1, 1, 1, 1]))
    assert torch.allclose(network.eval()(rows), known.repeat(200, 1), atol=1e-6)
    trained = network.train()(rows)
    dropped = torch.isclose(trained, unknown, atol=1e-6).all(1)
    assert (torch.isclose(trained, known, atol=1e-6).all(1) | dropped).all()
    assert 60 < int(dropped.sum()) < 140
    assert rows[0, 0] == 2, "the batch stays as it is"
    network.unknown_share = 0.0
    assert torch.allclose(network.train()(rows), known.repeat(200, 1), atol=1e-6)


def test_the_embedding_of_what_is_unknown_stays_zeros() -> None:
    network = tower()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.tensor([[0, 0, 0, 0, 0.0, 0.0], [1, 0, 2, 1, 0.0, 0.0]]))[:, 0].sum().backward()
    optimizer.step()
    weights = network.state_dict()
    assert not weights["embeddings.0.weight"][0].any()
    assert not weights["embeddings.1.weight"][0].any()
    assert weights["embeddings.0.weight"][1].any()
