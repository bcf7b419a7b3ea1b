"""Validation: the ranks of each user's held-out items among the whole catalogue, without the items that the user has seen.

Scores are computed in blocks of 128 MB, on the device of the training, in fp32.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqrec import metrics
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM, PADDING
from seqrec.models.encoder import Encoder
from seqrec.ragged import Ragged
from seqrec.storage import versions
from seqrec.training.processes import Process
from seqrec.training.training_data import TrainingData
from seqrec.user_hashes import UNKNOWN, hash_ids, user_rows

SCORES = 1 << 25  # floats of a block of scores: 128 MB
CUTOFFS = (1, 10, 20)
REPORTED = ("recall@1", "recall@10", "ndcg@10", "recall@20", "ndcg@20")


@dataclass(frozen=True, kw_only=True)
class ValidationUsers:
    """Users with held-out targets, shortest input first."""

    items: Ragged  # N inputs; the model gets the newest max_len of each
    max_len: int
    users: NDArray[np.int64]  # (N,), rows among the users with embeddings
    seen: Ragged  # N
    targets: Ragged  # N, none of them empty
    counts: NDArray[np.int64]  # (V,), training events of each item


@dataclass(frozen=True, kw_only=True)
class UserSample:
    """Which users are validated with: a seeded sample, or all."""

    users: int | None
    seed: int


def read_validation_users(
    data: TrainingData,
    *,
    user_hashes: NDArray[np.int64] | None,
    sample: UserSample,
    max_len: int,
    process: Process,
    cache: Path,
) -> ValidationUsers | None:
    """The rank's share of the table valid, or of a sample of its users; None if it has no users.

    The hashes are of the users with embeddings, sorted; None for a model without. Raises UserError if the table isn't whole.
    """
    paths = versions.fetch_table(data.table("valid"), cache)
    starts = np.cumsum([0, *(pq.read_metadata(path).num_rows for path in paths)])
    if not starts[-1]:
        return None
    sampled = np.random.default_rng(sample.seed).permutation(starts[-1])[: sample.users]
    chosen = np.sort(sampled)[process.rank :: process.world]
    parts = []
    columns = ["user_id", "items", "seen", "targets"]
    for path, first, last in zip(paths, starts[:-1], starts[1:], strict=True):
        rows_here = chosen[(chosen >= first) & (chosen < last)] - first
        if columns[-1] not in pq.read_schema(path).names:
            raise UserError(f"{data.table('valid')} has no column targets, as older versions wrote it: run build_sequences again")
        parts.append(pq.read_table(path, columns=columns).take(rows_here))
    rows = pa.concat_tables(parts)
    items, seen, targets = (Ragged.of_arrow(rows[name].combine_chunks()) for name in columns[1:])
    order = np.argsort(items.lengths.clip(max=max_len), kind="stable")
    unknown = np.full(len(rows), UNKNOWN)
    users = unknown if user_hashes is None else user_rows(hash_ids(rows["user_id"]), user_hashes)
    return ValidationUsers(
        items=items.take(order),
        max_len=max_len,
        users=users[order],
        seen=seen.take(order),
        targets=targets.take(order),
        counts=data.counts.numpy(),
    )


@torch.inference_mode()
def validate(model: Encoder, users: ValidationUsers, *, batch_size: int, bf16: bool, process: Process) -> dict[str, float]:
    """recall@1, recall and ndcg at 10 and 20, and the full-softmax cross-entropy of the targets, over the users of all ranks.

    evaluate gives the same metrics for the same users. A target's rank is the number of items that the user hasn't seen, or that
    are targets, and that score at least as much, itself included. A target without a training event is a miss, counted in
    `misses` and in every mean. For users without any item, items score by their popularity; the cross-entropy, a mean over the
    user's targets, always uses the model's scores. Raises UserError for a score that isn't finite.
    """
    model.eval()
    matrix = model.item_matrix()[FIRST_ITEM:].float()  # (V, D)
    popularity = torch.from_numpy(np.unique(users.counts, return_inverse=True)[1]).to(matrix)  # (V,), the counts' ranks, float32
    loss, ranks = 0.0, [np.zeros(0, dtype=np.int64)]
    for rows in _batches(len(users.items), min(batch_size, max(1, SCORES // len(matrix)))):
        items = torch.from_numpy(_inputs(users, rows)).to(process.device)  # (B, L)
        user_idx = torch.from_numpy(users.users[rows]).to(process.device)  # (B,)
        with torch.autocast(process.device.type, torch.bfloat16, enabled=bf16):
            query = model.query(*(items, user_idx)[: len(model.inputs)]).float()
        scores = query @ matrix.T  # (B, D) @ (D, V) -> (B, V)
        targets = _places(users.targets, rows, process.device)  # two of (T,): of all targets of the B users
        shares = torch.from_numpy(1 / users.targets.lengths[rows]).to(scores)[targets[0]]
        loss += float(((scores.logsumexp(-1)[targets[0]] - scores[targets]) * shares).sum())
        scores[(items == PADDING).all(1)] = popularity
        of_targets = scores[targets]
        scores[_places(users.seen, rows, process.device)] = -torch.inf
        scores[targets] = of_targets
        ranks.append(_ranks(scores, targets[0], of_targets).cpu().numpy())
    model.train()
    if not np.isfinite(loss):
        raise UserError("the validation's scores aren't finite: lower optimizer.lr or set optimizer.clip_norm")
    trained = users.counts[users.targets.values - FIRST_ITEM] > 0
    final = Ragged(np.where(trained, np.concatenate(ranks), metrics.MISS), users.targets.offsets)
    sums = metrics.metric_sums(metrics.RankCounts.of(final), cutoffs=CUTOFFS)
    of_rank = torch.tensor([sums["users"], sums["misses"], loss, *(sums[name] for name in REPORTED)], dtype=torch.float64)
    count, misses, *totals = process.sum(of_rank).tolist()
    return {**dict(zip(("loss", *REPORTED), (total / count for total in totals), strict=True)), "misses": misses}


def _batches(count: int, size: int) -> Iterator[NDArray[np.int64]]:
    """The rows 0 to count - 1, at most `size` at a time."""
    return (np.arange(start, min(start + size, count)) for start in range(0, count, size))


def _inputs(users: ValidationUsers, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The newest max_len items of some users (B, L), left-padded to the longest of them."""
    longest = int(users.items.lengths[rows].max())
    return users.items.left_padded(rows, max(1, min(longest, users.max_len)))


def _places(lists: Ragged, rows: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column indices of the items in some users' lists, in a block of scores."""
    items = lists.take(rows)
    return torch.from_numpy(items.rows).to(device), torch.from_numpy(items.values - FIRST_ITEM).to(device)


def _ranks(scores: Tensor, rows: Tensor, floors: Tensor) -> Tensor:
    """How many scores of the rows (T,) of (B, V) are at least the floors (T,); B rows at a time, for their memory."""
    if len(rows) == len(scores):  # one target each: nothing is copied
        return (scores >= floors[:, None]).sum(1)
    parts = [slice(first, first + len(scores)) for first in range(0, len(rows), len(scores))]
    return torch.cat([(scores[rows[part]] >= floors[part, None]).sum(1) for part in parts])
