"""The encoder's contract: padding changes nothing, the future changes nothing, a query is the last hidden state."""

import re
from typing import Any

import pytest
import torch

from seqrec.indices import MASK
from seqrec.models.blocks import Dropout
from seqrec.models.transformer import Transformer


def build(**parts: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(vocab_size=20, max_len=8, dim=8, blocks=2, heads=2, ffn=2, dropout=0.3, **parts).eval()


@pytest.fixture
def model() -> Transformer:
    return build()


def test_more_padding_never_changes_a_query(model: Transformer) -> None:
    short = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[0, 0, 0, 0, 0, 5, 6, 7]])
    torch.testing.assert_close(model.query(short), model.query(padded))


def test_a_query_is_the_hidden_state_of_the_last_position(model: Transformer) -> None:
    items = torch.tensor([[0, 0, 5, 6], [2, 3, 4, 5]])
    torch.testing.assert_close(model.query(items), model(items)[:, -1])


def test_a_position_sees_its_past_and_not_its_future(model: Transformer) -> None:
    hidden = model(torch.tensor([[2, 3, 4, 5]]))
    changed = model(torch.tensor([[2, 3, 4, 9]]))
    torch.testing.assert_close(hidden[:, :3], changed[:, :3])
    assert not torch.allclose(hidden[:, 3], changed[:, 3])
    assert not torch.allclose(model(torch.tensor([[9, 3, 4, 5]]))[:, 3], hidden[:, 3])


def test_a_bidirectional_query_is_that_of_a_mask_at_the_end() -> None:
    model, items = build(attention="bidirectional"), torch.tensor([[0, 0, 5, 6, 7, 8, 9, 10], [2, 3, 4, 5, 6, 7, 8, 9]])
    masked = torch.cat([items, torch.full((2, 1), MASK)], dim=1)
    torch.testing.assert_close(model.query(items), model(masked)[:, -1])
    torch.testing.assert_close(model.query(items[:1, 2:]), model.query(items)[:1])


def test_a_bidirectional_position_sees_its_past_and_its_future() -> None:
    model = build(attention="bidirectional")
    hidden = model(torch.tensor([[0, 2, 3, 4, 5]]))
    for changed in ([[0, 2, 3, 4, 9]], [[0, 9, 3, 4, 5]]):
        assert not torch.allclose(model(torch.tensor(changed))[:, 2], hidden[:, 2])
    torch.testing.assert_close(model(torch.tensor([[2, 3, 4, 5]])), hidden[:, 1:])


def test_users_of_a_batch_do_not_touch_each_other(model: Transformer) -> None:
    alone = model.query(torch.tensor([[2, 3, 4, 5]]))
    together = model.query(torch.tensor([[2, 3, 4, 5], [0, 0, 0, 0]]))
    torch.testing.assert_close(together[:1], alone)
    assert torch.isfinite(together).all()


def test_order_matters(model: Transformer) -> None:
    assert not torch.allclose(model.query(torch.tensor([[2, 3, 4]])), model.query(torch.tensor([[3, 2, 4]])))


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    torch.manual_seed(1)
    dropout = Dropout(0.25)
    dropped = dropout(torch.ones(100_003))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 4 / 3]))
    assert torch.equal(dropout.eval()(torch.ones(5)), torch.ones(5))


def test_the_weights_of_former_checkpoints_are_loaded(model: Transformer) -> None:
    """Before blocks had parts, a layer's weights lay in the block itself, and those of positions in the encoder."""
    former = {re.sub(r"\.(attention|feed_forward)\.", ".", name): weight for name, weight in model.state_dict().items()}
    former["positions"] = former.pop("positions.weight")
    assert {"positions", "blocks.1.key_value.bias", "blocks.0.contract.weight"} <= former.keys()
    other = Transformer(vocab_size=20, max_len=8, dim=8, blocks=2, heads=2, ffn=2, dropout=0.3).eval()
    other.load_state_dict(former)
    items = torch.tensor([[0, 5, 6, 7]])
    assert torch.equal(other.query(items), model.query(items))
