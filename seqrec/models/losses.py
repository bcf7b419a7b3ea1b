"""What is minimised: a loss of each query, its target and negatives, summed over the queries.

All losses have one signature: the predictions of a batch, matrix (V+2, D), and further keywords; a loss with negatives has the
keyword `sampler`. Gradients are computed chunk by chunk in the forward pass, so that the scores of all queries
are never in memory at once: N·V floats would be 80 MB for 12,800 targets and 1,600 items, and 20 GB for 400,000 items.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seqrec.indices import FIRST_ITEM
from seqrec.models.negatives import Draw, Popularity, Uniform

CHUNK_FLOATS = 1 << 23  # scores or gathered rows held at a time: 32 MB of float32
LOG2_E = math.log2(math.e)
DENSE_ROWS = 16  # scoring so many rows of the matrix costs less than gathering a single one

Sampler = Uniform | Popularity
ChunkLoss = Callable[[Tensor, Tensor, slice], Tensor]  # scores of targets (n,) and negatives -> a loss a query (n,)


class Predictions(NamedTuple):
    """The N predictions of a batch: a query, the item that is right, and how much the prediction counts."""

    hidden: Tensor  # (N, D)
    targets: Tensor  # (N,), item indices
    weights: Tensor | None = None  # (N,); None: each counts 1
    excluded: Tensor | None = None  # (N, E), items that don't compete with the target, PADDING where there is none; of ce alone


def cross_entropy(predictions: Predictions, matrix: Tensor, *, bf16: bool = False) -> Tensor:
    """Full softmax over the V items: sum of logsumexp(s) - s⁺. With bf16 the three products are in bfloat16.

    Excluded items are left out of a query's softmax, unless they are its target.

    >>> hidden, matrix = torch.tensor([[1.0]]), torch.tensor([[9.0], [9.0], [0.0], [1.0]])
    >>> cross_entropy(Predictions(hidden, torch.tensor([3])), matrix).item()  # log(e^0 + e^1) - 1
    0.3132...
    """
    rows = predictions._replace(
        targets=predictions.targets - FIRST_ITEM,
        excluded=None if predictions.excluded is None else predictions.excluded - FIRST_ITEM,
    )
    loss: Tensor = _CrossEntropy.apply(*rows, matrix[FIRST_ITEM:], bf16)
    return loss


def bce(predictions: Predictions, matrix: Tensor, *, sampler: Draw, negatives: int) -> Tensor:
    """Binary cross-entropy of the target and k negatives, the mean of the k + 1 terms (Kang and McAuley 2018, eq. 6, with k = 1).

    Eq. 6 is the sum of its two terms, twice this mean; Adam's steps are the same for both.
    """
    return _with_negatives(predictions, matrix, sampler, negatives, beta=1.0)


def gbce(predictions: Predictions, matrix: Tensor, *, sampler: Draw, negatives: int, t: float) -> Tensor:
    """Generalised binary cross-entropy, the mean of k + 1 terms (Petrov and Macdonald 2023, arXiv:2308.07192, eq. 10 and 14)."""
    vocab_size = len(matrix) - FIRST_ITEM
    beta = gbce_beta(negatives=negatives, vocab_size=vocab_size, t=t)
    return _with_negatives(predictions, matrix, sampler, negatives, beta=beta)


def gbce_beta(*, negatives: int, vocab_size: int, t: float) -> float:
    """The power of the positive's probability: α = k / (V - 1), β = α(t(1 - 1/α) + 1/α).

    >>> gbce_beta(negatives=10, vocab_size=101, t=0.0), round(gbce_beta(negatives=10, vocab_size=101, t=1.0), 9)
    (1.0, 0.1)
    """
    alpha = min(1.0, negatives / max(1, vocab_size - 1))
    return alpha * (t * (1 - 1 / alpha) + 1 / alpha)


def prior_score(*, negatives: int, beta: float) -> float:
    """log(β / k): the score of least loss for an item that is as often the target as any other, with k uniform negatives.

    Scores that begin there spare the steps that would only lower all of them (Lin et al. 2017, arXiv:1708.02002, section 3.3,
    by a bias).

    >>> prior_score(negatives=1, beta=1.0), round(prior_score(negatives=256, beta=0.25), 2)
    (0.0, -6.93)
    """
    return math.log(beta / negatives)


def sampled_cross_entropy(predictions: Predictions, matrix: Tensor, *, sampler: Sampler, negatives: int, log_q: bool) -> Tensor:
    """Softmax over the target and S negatives that all queries share (Jean et al. 2015, arXiv:1412.2007).

    A negative that is the query's target is left out. With log_q the scores of negatives are corrected by -log(S·Q), which makes
    the sum of their exponentials an unbiased estimate of the full softmax's (Bengio and Senécal 2008, eq. 6). The target isn't
    drawn, so it isn't corrected. Uniform draws need the correction too: S negatives stand for V - 1 items.
    """
    targets, shared = predictions.targets, sampler((negatives,), matrix.device)  # (N,), (S,)
    shift = sampler.log_q(shared) + math.log(negatives) if log_q else None  # (S,)

    def loss(positive: Tensor, negative: Tensor, rows: slice) -> Tensor:
        if shift is not None:
            negative = negative - shift
        negative = negative.masked_fill(shared == targets[rows, None], float("-inf"))
        return torch.cat([positive[:, None], negative], dim=-1).logsumexp(-1) - positive

    return _chunked(predictions, matrix, shared, loss)


def cosine_contrastive(
    predictions: Predictions, matrix: Tensor, *, sampler: Sampler, negatives: int, margin: float, weight: float
) -> Tensor:
    """Sum of (1 - s⁺) + weight / |N| · Σ max(0, s⁻ - margin) (Mao et al. 2021, arXiv:2109.12613, eq. 1).

    Queries and the matrix's rows have length 1, so that scores are cosines. All queries share the negatives N; one that is the
    query's target is left out.
    """
    targets, shared = predictions.targets, sampler((negatives,), matrix.device)  # (N,), (S,)

    def loss(positive: Tensor, negative: Tensor, rows: slice) -> Tensor:
        same = shared == targets[rows, None]  # (n, S)
        excess = F.relu(negative - margin).masked_fill(same, 0.0).sum(-1)
        of_queries: Tensor = 1 - positive + weight * excess / (~same).sum(-1).clamp(min=1)
        return of_queries

    return _chunked(predictions, matrix, shared, loss)


def _with_negatives(predictions: Predictions, matrix: Tensor, sampler: Draw, negatives: int, beta: float) -> Tensor:
    """gbce with its beta, of k negatives for each query; bce has beta = 1."""
    drawn = sampler((len(predictions.targets), negatives), matrix.device)  # (N, k)

    def loss(positive: Tensor, negative: Tensor, _: slice) -> Tensor:
        return -(beta * F.logsigmoid(positive) + F.logsigmoid(-negative).sum(-1)) / (1 + negatives)

    return _chunked(predictions, matrix, drawn, loss)


def _chunked(predictions: Predictions, matrix: Tensor, negatives: Tensor, loss: ChunkLoss) -> Tensor:
    """The loss of the scores of targets and negatives, summed over the queries (see _Chunked)."""
    weights = predictions.weights

    def summed(positive: Tensor, negative: Tensor, rows: slice) -> Tensor:
        each = loss(positive, negative, rows)
        return each.sum() if weights is None else (each * weights[rows]).sum()

    total: Tensor = _Chunked.apply(predictions.hidden, matrix, predictions.targets, negatives, summed)
    return total


class _Chunked(torch.autograd.Function):
    """A loss summed over queries; its gradients come from autograd within each chunk of queries.

    Negatives are (S,), shared by all queries, or (N, k). Their rows are gathered, unless scoring the whole matrix is cheaper.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, matrix: Tensor, targets: Tensor, negatives: Tensor, summed: ChunkLoss) -> Tensor:
        hidden, matrix = hidden.float(), matrix.float()
        total, grad_hidden, grad_matrix = hidden.new_zeros(()), torch.empty_like(hidden), torch.zeros_like(matrix)
        shared = negatives.dim() == 1
        dense = not shared and len(matrix) <= DENSE_ROWS * negatives.shape[1]
        width = len(negatives) if shared else len(matrix) if dense else negatives.shape[1] * matrix.shape[1]
        size = max(1, CHUNK_FLOATS // width)
        for start in range(0, len(hidden), size):
            rows = slice(start, start + size)
            positives, drawn = targets[rows], negatives if shared else negatives[rows]
            index = None if dense else torch.cat([positives, drawn.flatten()])
            leaf = (matrix if index is None else matrix[index]).detach().requires_grad_()
            query = hidden[rows].detach().requires_grad_()
            with torch.enable_grad(), torch.autocast(hidden.device.type, enabled=False):
                part = summed(*_scores(query, leaf, positives, drawn, dense=dense), rows)
            grad_query, grad_leaf = torch.autograd.grad(part, [query, leaf])
            total += part.detach()
            grad_hidden[rows] = grad_query
            if index is None:
                grad_matrix += grad_leaf
            else:
                grad_matrix.index_add_(0, index, grad_leaf)
        ctx.save_for_backward(grad_hidden, grad_matrix)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad_hidden, grad_matrix = ctx.saved_tensors
        return grad_hidden * grads[0], grad_matrix * grads[0], None, None, None


def _scores(query: Tensor, leaf: Tensor, targets: Tensor, drawn: Tensor, *, dense: bool) -> tuple[Tensor, Tensor]:
    """Scores of the targets (n,) and of the negatives (n, S) or (n, k), from gathered rows or from the whole matrix."""
    if dense:
        scores = (query @ leaf.T).gather(1, torch.cat([targets[:, None], drawn], dim=1))  # (n, V+2) -> (n, 1+k)
        return scores[:, 0], scores[:, 1:]
    positive, negative = leaf[: len(query)], leaf[len(query) :]
    of_targets = (query * positive).sum(-1)
    if drawn.dim() == 1:
        return of_targets, query @ negative.T  # (n, D) @ (D, S) -> (n, S)
    return of_targets, torch.bmm(negative.view(*drawn.shape, -1), query[:, :, None])[..., 0]  # (n, k, D) @ (n, D, 1) -> (n, k)


class _CrossEntropy(torch.autograd.Function):
    """The gradient of the scores is softmax minus one-hot: three matrix products a chunk, and nothing is kept between chunks.

    Exponentials are taken once, to the base 2, which is the fastest on CPUs, and are never divided by their sums: what is
    multiplied with them is, which is much smaller. Targets and excluded items are rows of the matrix (V, D); negative ones are no
    items.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        excluded: Tensor | None,
        matrix: Tensor,
        bf16: bool,
    ) -> Tensor:
        kind = torch.bfloat16 if bf16 else torch.float32
        hidden, matrix = hidden.float(), matrix.float()
        queries, rows = (hidden * LOG2_E).to(kind), matrix.to(kind)
        hidden, matrix = queries.float() / LOG2_E, rows.float()  # rounded as in the products, so that a target's share cancels
        share = torch.ones_like(hidden[:, :1]) if weights is None else weights[:, None]  # (N, 1)
        right = matrix[targets]  # (N, D)
        total = -((hidden * right).sum(-1, keepdim=True) * share).sum()
        grad_hidden, grad_matrix = -right * share, torch.zeros_like(matrix)
        grad_matrix.index_add_(0, targets, hidden * -share)
        size = max(1, CHUNK_FLOATS // len(matrix))
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(hidden), size):
                part = slice(start, start + size)
                scores = (queries[part] @ rows.T).float()  # (n, D) @ (D, V) -> (n, V)
                if excluded is not None:
                    right_column = targets[part, None]
                    of_targets = scores.gather(1, right_column)  # kept, as excluded ones that are no items go to this column
                    columns = torch.where(excluded[part] >= 0, excluded[part], right_column)
                    scores.scatter_(1, columns, -torch.inf).scatter_(1, right_column, of_targets)
                highest = scores.amax(-1, keepdim=True)
                powers = scores.sub_(highest).exp2_()
                sums = powers.sum(-1, keepdim=True)  # (n, 1)
                total += ((sums.log2() + highest) / LOG2_E * share[part]).sum()
                powers = powers.to(kind)
                grad_hidden[part] += (powers @ rows).float() * (share[part] / sums)
                grad_matrix += powers.T @ (hidden[part] * (share[part] / sums)).to(kind)
        ctx.save_for_backward(grad_hidden, grad_matrix)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad_hidden, grad_matrix = ctx.saved_tensors
        return grad_hidden * grads[0], None, None, None, grad_matrix * grads[0], None
