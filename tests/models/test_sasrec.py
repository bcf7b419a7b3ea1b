"""The encoder's contract: padding changes nothing, the future changes nothing, a query is the last hidden state."""

import re

import pytest
import torch

from seqrec.models.blocks import Dropout
from seqrec.models.sasrec import SASRec


@pytest.fixture
def model() -> SASRec:
    torch.manual_seed(0)
    return SASRec(vocab_size=20, max_len=8, dim=8, blocks=2, heads=2, ffn=2, dropout=0.3).eval()


def test_more_padding_never_changes_a_query(model: SASRec) -> None:
    short = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[0, 0, 0, 0, 0, 5, 6, 7]])
    torch.testing.assert_close(model.query(short), model.query(padded))


def test_a_query_is_the_hidden_state_of_the_last_position(model: SASRec) -> None:
    items = torch.tensor([[0, 0, 5, 6], [2, 3, 4, 5]])
    torch.testing.assert_close(model.query(items), model(items)[:, -1])


def test_a_position_sees_its_past_and_not_its_future(model: SASRec) -> None:
    hidden = model(torch.tensor([[2, 3, 4, 5]]))
    changed = model(torch.tensor([[2, 3, 4, 9]]))
    torch.testing.assert_close(hidden[:, :3], changed[:, :3])
    assert not torch.allclose(hidden[:, 3], changed[:, 3])
    assert not torch.allclose(model(torch.tensor([[9, 3, 4, 5]]))[:, 3], hidden[:, 3])


def test_users_of_a_batch_do_not_touch_each_other(model: SASRec) -> None:
    alone = model.query(torch.tensor([[2, 3, 4, 5]]))
    together = model.query(torch.tensor([[2, 3, 4, 5], [0, 0, 0, 0]]))
    torch.testing.assert_close(together[:1], alone)
    assert torch.isfinite(together).all()


def test_order_matters(model: SASRec) -> None:
    assert not torch.allclose(model.query(torch.tensor([[2, 3, 4]])), model.query(torch.tensor([[3, 2, 4]])))


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    torch.manual_seed(1)
    dropout = Dropout(0.25)
    dropped = dropout(torch.ones(100_003))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 4 / 3]))
    assert torch.equal(dropout.eval()(torch.ones(5)), torch.ones(5))


def test_the_weights_of_former_checkpoints_are_loaded(model: SASRec) -> None:
    """Before blocks had parts, a layer's weights lay in the block itself, and those of positions in the encoder."""
    former = {re.sub(r"\.(attention|feed_forward)\.", ".", name): weight for name, weight in model.state_dict().items()}
    former["positions"] = former.pop("positions.weight")
    assert {"positions", "blocks.1.key_value.bias", "blocks.0.contract.weight"} <= former.keys()
    other = SASRec(vocab_size=20, max_len=8, dim=8, blocks=2, heads=2, ffn=2, dropout=0.3).eval()
    other.load_state_dict(former)
    items = torch.tensor([[0, 5, 6, 7]])
    assert torch.equal(other.query(items), model.query(items))
