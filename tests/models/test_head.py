"""Whatever the head is, a score is the product of a query and an item's row."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from seqrec.models.losses import Predictions, cross_entropy
from seqrec.models.transformer import Transformer

ITEMS = torch.tensor([[0, 5, 6, 7], [2, 3, 4, 5]])


def build(**parts: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(vocab_size=20, max_len=8, dim=8, blocks=1, heads=2, ffn=2, dropout=0.3, **parts).eval()


def test_a_cosine_head_scores_by_the_cosine_over_a_temperature() -> None:
    model, plain = build(head="cosine"), build()
    model.head.log_scale.data.fill_(3.0)  # type: ignore[union-attr]
    scores = model.query(ITEMS) @ model.item_matrix().T
    cosines = F.cosine_similarity(plain.query(ITEMS)[:, None], plain.item_matrix()[None, 2:], dim=-1)
    torch.testing.assert_close(scores[:, 2:], cosines * torch.tensor(3.0).exp())
    assert model.item_matrix()[0].tolist() == [0.0] * 8


def test_a_bias_is_a_dimension_more_where_queries_have_a_one() -> None:
    model, plain = build(output_bias=True), build()
    model.head.bias.data.copy_(torch.arange(22.0))  # type: ignore[union-attr]
    assert model.query(ITEMS).shape == (2, 9)
    assert model(ITEMS).shape == (2, 4, 9)
    scores = model.query(ITEMS) @ model.item_matrix().T
    torch.testing.assert_close(scores, plain.query(ITEMS) @ plain.item_matrix().T + torch.arange(22.0))


def test_an_output_layer_comes_before_the_product() -> None:
    model, plain = build(output_layer=True, activation="relu"), build(activation="relu")
    model.load_state_dict(plain.state_dict(), strict=False)
    layer, norm = model.head.layer, model.head.norm
    assert layer is not None
    expected = norm(torch.relu(plain.query(ITEMS) @ layer.weight.T + layer.bias))
    torch.testing.assert_close(model.query(ITEMS), expected)


def test_a_separate_matrix_is_another_than_the_embeddings() -> None:
    model = build(output="separate", init_range=0.5)
    assert model.item_matrix().shape == model.items.weight.shape
    assert model.item_matrix()[0].tolist() == [0.0] * 8
    assert not torch.equal(model.item_matrix(), model.items.weight)
    assert model.item_matrix()[2:].std().item() == pytest.approx(0.5, rel=0.2)
    assert build().item_matrix() is not model.item_matrix()


def test_the_loss_reaches_temperature_bias_and_matrix() -> None:
    model = build(output="separate", output_bias=True, head="cosine")
    torch.autograd.backward(cross_entropy(Predictions(model.query(ITEMS), torch.tensor([4, 9])), model.item_matrix()))
    for name, weight in model.head.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name
    assert model.items.weight.grad is not None
    assert model.items.weight.grad[4].abs().max() > 0, "an input, and a row of the embeddings alone"
    assert model.items.weight.grad[9].abs().max() == 0, "a target"
