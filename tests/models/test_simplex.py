"""The towers of SimpleX, and its loss by hand and against a double loop."""

import pytest
import torch
from torch import Tensor, nn

from seqrec.models import losses
from seqrec.models.losses import Predictions, cosine_contrastive
from seqrec.models.negatives import Uniform
from seqrec.models.simplex import SimpleX

V, D, MAX_LEN = 20, 4, 3


class Fixed(Uniform):
    """A sampler that draws what it was given."""

    def __init__(self, items: list[int]) -> None:
        super().__init__(vocab_size=V)
        self.items = torch.tensor(items)

    def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        assert shape == self.items.shape
        return self.items


@pytest.fixture
def model() -> SimpleX:
    torch.manual_seed(1)
    found = SimpleX(vocab_size=V, max_len=MAX_LEN, dim=D, dropout=0.5).eval()
    nn.init.normal_(found.project.weight)
    return found


def test_the_loss_by_hand() -> None:
    """Cosines: 0.8 with the target 2; 0.6 with 3, 1.0 with 4, and 0.0 with 5. The target among the negatives doesn't count.

    1 - 0.8 + 3 / 3 · (0.6 - 0.4 + 1.0 - 0.4 + 0) = 1.0
    """
    matrix = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.8, 0.6], [0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    negatives = Fixed([3, 2, 4, 5])
    query = torch.tensor([[1.0, 0.0]])
    loss = cosine_contrastive(
        Predictions(query, torch.tensor([2])), matrix, sampler=negatives, negatives=4, margin=0.4, weight=3.0
    )
    assert loss.item() == pytest.approx(1.0)
    alone = cosine_contrastive(
        Predictions(query, torch.tensor([2])), matrix, sampler=Fixed([2, 2]), negatives=2, margin=0.4, weight=3.0
    )
    assert alone.item() == pytest.approx(0.2)


@pytest.mark.parametrize("chunk", [1 << 23, 20])
def test_the_loss_and_its_gradients_against_a_double_loop(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(losses, "CHUNK_FLOATS", chunk)
    torch.manual_seed(2)
    hidden, matrix = torch.randn(7, D, requires_grad=True), torch.randn(V + 2, D, requires_grad=True)
    targets, sampler = torch.randint(2, V + 2, (7,)), Uniform(vocab_size=V)
    unit_hidden, unit_matrix = (nn.functional.normalize(x, dim=-1) for x in (hidden, matrix))
    torch.manual_seed(9)
    actual = cosine_contrastive(
        Predictions(unit_hidden, targets), unit_matrix, sampler=sampler, negatives=12, margin=0.1, weight=5.0
    )
    torch.manual_seed(9)
    drawn = sampler((12,), torch.device("cpu")).tolist()
    assert set(drawn) & set(targets.tolist())
    expected = torch.zeros(())
    for row, target in enumerate(targets.tolist()):
        cosine = [torch.cosine_similarity(hidden[row], matrix[item], dim=0) for item in range(V + 2)]
        others = [item for item in drawn if item != target]
        excess = sum((cosine[item] - 0.1).clamp(min=0) for item in others)
        expected = expected + 1 - cosine[target] + 5.0 / len(others) * excess
    torch.testing.assert_close(actual, expected)
    leaves = [hidden, matrix]
    for own, naive in zip(torch.autograd.grad(actual, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(own, naive, rtol=1e-4, atol=1e-5)


def test_a_query_is_the_projected_mean_of_the_history(model: SimpleX) -> None:
    mean = (model.items.weight[5] + model.items.weight[7] + model.items.weight[5]) / 3
    wanted = model.project.weight @ mean
    torch.testing.assert_close(model.query(torch.tensor([[5, 7, 5]]))[0], wanted / wanted.norm())
    torch.testing.assert_close(model.item_matrix()[2:].norm(dim=-1), torch.ones(V))


def test_users_are_mixed_into_the_query() -> None:
    torch.manual_seed(1)
    model = SimpleX(vocab_size=V, max_len=MAX_LEN, dim=D, dropout=0.5, users=2, user_weight=0.75).eval()
    items, known, unknown = torch.tensor([[0, 5, 7], [0, 5, 7]]), torch.tensor([1, 2]), torch.tensor([0, 0])
    history = model.project.weight @ (model.items.weight[5] + model.items.weight[7]) / 2
    for row, user in enumerate(known):
        wanted = 0.75 * model.users.weight[user] + 0.25 * history
        torch.testing.assert_close(model.query(items, known)[row], wanted / wanted.norm())
    torch.testing.assert_close(model(items, known)[:, -1], model.query(items, known))
    torch.testing.assert_close(model.query(items, unknown)[0], history / history.norm())
    assert model.inputs == ("items", "user_idx")


def test_every_position_is_the_query_of_its_newest_items(model: SimpleX) -> None:
    items = torch.tensor([[0, 0, 4, 9, 2, 4, 8], [3, 3, 5, 6, 7, 8, 9]])
    hidden = model(items)
    for row in range(2):
        for end in range(1, 8):
            newest = items[row : row + 1, max(0, end - MAX_LEN) : end]
            torch.testing.assert_close(hidden[row : row + 1, end - 1], model.query(newest))


def test_padding_changes_nothing(model: SimpleX) -> None:
    alone = model.query(torch.tensor([[4, 9]]))
    torch.testing.assert_close(model.query(torch.tensor([[0, 4, 9]])), alone)
    assert model.query(torch.tensor([[0, 0]])).tolist() == [[0.0] * D]
    assert model.item_matrix()[0].tolist() == [0.0] * D


def test_gradients_are_finite_and_leave_the_padding(model: SimpleX) -> None:
    model.train()
    hidden = model(torch.tensor([[0, 4, 9]]))[:, 1:].flatten(0, 1)
    sampler = Uniform(vocab_size=V)
    targets = torch.tensor([9, 3])
    loss = cosine_contrastive(
        Predictions(hidden, targets), model.item_matrix(), sampler=sampler, negatives=5, margin=0.0, weight=1.0
    )
    items, project = torch.autograd.grad(loss, [model.items.weight, model.project.weight])
    assert torch.isfinite(items).all()
    assert torch.isfinite(project).all()
    assert items[0].tolist() == [0.0] * D
