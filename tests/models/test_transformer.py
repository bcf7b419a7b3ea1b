"""The encoder's contract: padding changes nothing, the future changes nothing, a query is the last hidden state."""

import re
from typing import Any

import pytest
import torch

from seqrec.indices import MASK
from seqrec.models.attention import Attention, DepthwiseConvolution, causal
from seqrec.models.blocks import Block
from seqrec.models.dropout import Dropout
from seqrec.models.feed_forward import GatedMLP
from seqrec.models.positions import RotaryPositions
from seqrec.models.shape import Shape
from seqrec.models.transformer import Transformer


def build(**parts: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(vocab_size=20, max_len=8, dim=8, blocks=2, heads=2, ffn=2, dropout=0.3, **parts).eval()


PARTS: list[dict[str, Any]] = [
    {},
    {"position": "rope"},
    {"position": "none"},
    {"norm": "rms", "embedding_norm": True, "embedding_scale": "none"},
    {"norm_place": "post", "activation": "relu"},
    {"norm_place": "query", "attention_output": False},
    {"attention_conv": 3, "position": "rope"},
    {"attention_conv": 2, "norm_place": "post"},
    {"mlp": "gated", "activation": "silu"},
    {"mlp": "moe", "experts": 3, "experts_active": 2},
    {"output_layer": True, "output": "separate", "output_bias": True, "head": "cosine"},
]


@pytest.fixture(params=PARTS, ids=lambda parts: "-".join(map(str, parts.values())) or "default")
def model(request: pytest.FixtureRequest) -> Transformer:
    return build(**request.param)


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


def test_a_query_before_a_history_is_that_of_a_mask_in_front() -> None:
    model = build(attention="bidirectional")
    items = torch.tensor([[0, 0, 0, 6, 7, 8, 9, 10], [2, 3, 4, 5, 6, 7, 8, 9], [0] * 8])
    queries = model.query_before(items)
    for row, history in zip(queries, ([6, 7, 8, 9, 10], [2, 3, 4, 5, 6, 7, 8, 9], []), strict=True):
        torch.testing.assert_close(row, model(torch.tensor([[MASK, *history]]))[0, 0])


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


@pytest.mark.parametrize("position", ["learned", "rope", "none"])
def test_order_matters_where_there_are_positions(position: str) -> None:
    """One block, as a second one sees which positions saw more."""
    torch.manual_seed(0)
    model = Transformer(vocab_size=20, max_len=8, dim=8, blocks=1, heads=2, ffn=2, dropout=0.3, position=position).eval()
    same = torch.allclose(model.query(torch.tensor([[2, 3, 4]])), model.query(torch.tensor([[3, 2, 4]])))
    assert same == (position == "none")


def test_rope_scores_depend_on_how_far_apart_two_positions_are() -> None:
    """By complex numbers: pair i of a head of 4, at a distance d from the newest, is multiplied with e^(-i·d·rate)."""
    rope = RotaryPositions(max_len=8, head_width=4)
    query, key = torch.randn(2, 4, generator=torch.Generator().manual_seed(3))
    turned, others = (rope.turn(vector.expand(1, 1, 6, 4))[0, 0] for vector in (query, key))
    scores = turned @ others.T  # (6, 6)
    pairs = torch.complex(query[:2], query[2:]) * torch.complex(key[:2], key[2:]).conj()
    for row in range(6):
        for column in range(6):
            angle = (row - column) * torch.tensor([1.0, 0.01])
            expected = (pairs * torch.polar(torch.ones(2), angle)).real.sum()
            torch.testing.assert_close(scores[row, column], expected)


def hidden_of(model: Transformer, norm: Any) -> torch.Tensor:
    """One block without dropout, written out with the norm's place as a function of (norm, x, layer)."""
    x, mask = model._embed(torch.tensor([[5, 6, 7]]))
    block = model.blocks[0]
    assert isinstance(block, Block)
    x = norm(block.attention_norm, x, lambda asking, seen: block.attention(asking, seen, mask, model.positions.turn))
    hidden: torch.Tensor = model.norm(norm(block.ffn_norm, x, lambda asking, _: block.feed_forward(asking)))
    return hidden


@pytest.mark.parametrize(
    ("place", "norm"),
    [
        ("pre", lambda norm, x, layer: x + layer(norm(x), norm(x))),
        ("post", lambda norm, x, layer: norm(x + layer(x, x))),
        ("query", lambda norm, x, layer: norm(x) + layer(norm(x), x)),
    ],
)
def test_norms_lie_where_their_place_says(place: str, norm: Any) -> None:
    torch.manual_seed(0)
    model = Transformer(vocab_size=20, max_len=8, dim=8, blocks=1, heads=2, ffn=2, dropout=0.0, norm_place=place)
    torch.nn.init.normal_(dict(model.named_parameters())["blocks.0.attention_norm.weight"])
    torch.testing.assert_close(model(torch.tensor([[5, 6, 7]])), hidden_of(model, norm))
    assert isinstance(model.norm, torch.nn.Identity) == (place == "post")


def test_a_gated_layer_multiplies_two_halves() -> None:
    shape = Shape(dim=4, blocks=1, heads=1, ffn=2, dropout=0.0, mlp="gated", activation="silu")
    layer, x = GatedMLP(shape), torch.randn(3, 4)
    gate, value = x @ layer.expand.weight[:8].T + layer.expand.bias[:8], x @ layer.expand.weight[8:].T + layer.expand.bias[8:]
    expected = (gate * torch.sigmoid(gate) * value) @ layer.contract.weight.T + layer.contract.bias
    torch.testing.assert_close(layer(x), expected)


def test_attention_that_drops_weights_has_the_mean_of_one_that_does_not() -> None:
    """Values are 1 in each dimension: a result is the sum of the weights that stayed, enlarged by the share that went."""
    torch.manual_seed(2)
    attention, x = Attention(dim=4, heads=2, mixes=False, dropout=0.25), torch.randn(1, 50, 4)
    torch.nn.init.zeros_(attention.key_value.weight)
    torch.nn.init.ones_(attention.key_value.bias)
    mask = causal(torch.ones(1, 50, dtype=torch.bool))
    dropped = torch.stack([attention(x, x, mask, lambda heads: heads) for _ in range(200)])
    assert sorted(set(dropped[:, 0, 0].flatten().tolist())) == [0.0, pytest.approx(4 / 3)]
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    torch.testing.assert_close(attention.eval()(x, x, mask, lambda heads: heads), torch.ones(1, 50, 4))


def test_attention_written_out_is_torchs_own() -> None:
    torch.manual_seed(2)
    attention, x, real = (
        Attention(dim=8, heads=2, dropout=0.5),
        torch.randn(2, 5, 8),
        torch.tensor([[False, True, True, True, True]] * 2),
    )
    attention.dropout.forward = lambda x: x  # type: ignore[method-assign]
    written = attention(x, x, causal(real), lambda heads: heads)
    torch.testing.assert_close(attention.eval()(x, x, causal(real), lambda heads: heads), written)


@pytest.mark.parametrize(
    ("rates", "dropped"),
    [
        ({}, [0.5, 0.5, 0.5, 0.5, 0.0]),
        ({"dropout_embedding": 0.0, "dropout_mlp": 0.25}, [0.0, 0.5, 0.25, 0.25, 0.0]),
        ({"dropout_attention": 0.0, "dropout_weights": 0.25}, [0.5, 0.0, 0.5, 0.5, 0.25]),
    ],
)
def test_each_dropout_has_its_rate(rates: dict[str, float], dropped: list[float]) -> None:
    model = Transformer(vocab_size=20, max_len=8, dim=8, blocks=1, heads=2, ffn=2, dropout=0.5, **rates)
    block = model.blocks[0]
    assert isinstance(block, Block)
    parts = [model.dropout, block.attention_dropout, block.ffn_dropout, block.feed_forward.dropout, block.attention.dropout]
    assert [part.threshold / 256 for part in parts if isinstance(part, Dropout)] == dropped


def test_the_initial_range_is_that_of_embeddings_and_positions() -> None:
    model = Transformer(vocab_size=2000, max_len=200, dim=64, blocks=1, heads=2, ffn=2, dropout=0.5, init_range=0.5)
    assert model.items.weight[2:].std().item() == pytest.approx(0.5, rel=0.02)
    assert dict(model.named_parameters())["positions.weight"].std().item() == pytest.approx(0.5, rel=0.05)
    assert model.items.weight[0].tolist() == [0.0] * 64


@pytest.mark.parametrize(
    "parts",
    [
        {"output": "separate", "norm_place": "query"},
        {"output_bias": True, "norm": "rms"},
        {"output_layer": True, "output": "separate", "output_bias": True, "head": "cosine"},
    ],
)
def test_scores_begin_at_a_number(parts: dict[str, Any]) -> None:
    model, histories = build(**parts), torch.randint(2, 22, (50, 8), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = model.query(histories) @ model.item_matrix().T
        model.begin_at(-5.0)
        shift = model.query(histories) @ model.item_matrix().T - before  # (50, V+2)
    torch.testing.assert_close(shift, shift[:1].expand_as(shift), atol=1e-4, rtol=0)  # the same for each history
    torch.testing.assert_close(shift[0, 2:], torch.full((20,), -5.0), atol=0.3, rtol=0)
    assert shift[0, 0] == 0


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    torch.manual_seed(1)
    dropout = Dropout(0.25)
    dropped = dropout(torch.ones(100_003))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 4 / 3]))
    assert torch.equal(dropout.eval()(torch.ones(5)), torch.ones(5))


def test_the_weights_of_former_checkpoints_are_loaded() -> None:
    """Before blocks had parts, a layer's weights lay in the block itself, and those of positions in the encoder."""
    model = build()
    former = {re.sub(r"\.(attention|feed_forward)\.", ".", name): weight for name, weight in model.state_dict().items()}
    former["positions"] = former.pop("positions.weight")
    assert {"positions", "blocks.1.key_value.bias", "blocks.0.contract.weight"} <= former.keys()
    other = Transformer(vocab_size=20, max_len=8, dim=8, blocks=2, heads=2, ffn=2, dropout=0.3).eval()
    other.load_state_dict(former)
    items = torch.tensor([[0, 5, 6, 7]])
    assert torch.equal(other.query(items), model.query(items))


def test_a_convolution_sums_older_positions_by_channel() -> None:
    conv = DepthwiseConvolution(channels=2, width=3)
    x = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]])
    assert torch.equal(conv(x), x)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.5, 1.0]]))
    assert conv(x).tolist() == [[[1.0, 10.0], [4.0, 20.0], [7.5, 40.0], [11.0, 60.0]]]
    assert conv(x[:, :1]).tolist() == [[[1.0, 10.0]]]


def test_a_convolution_at_its_start_changes_nothing() -> None:
    items = torch.tensor([[0, 0, 5, 6, 7]])
    plain, convolved = build(), build(attention_conv=3)
    convolved.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(convolved.query(items), plain.query(items))
