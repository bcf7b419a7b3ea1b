"""Validation: the rank of each user's held-out item among the whole catalogue, without the items that the user has seen.

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
REPORTED = {"recall@1": "hit_rate@1"} | {  # with one target, the hit rate is the recall
    f"{name}@{cutoff}": f"{kind}@{cutoff}" for cutoff in (10, 20) for name, kind in (("recall", "hit_rate"), ("ndcg", "ndcg"))
}


@dataclass(frozen=True, kw_only=True)
class ValidationUsers:
    """Users with a held-out target, shortest input first."""

    items: Ragged  # N inputs; the model gets the newest max_len of each
    max_len: int
    users: NDArray[np.int64]  # (N,), rows among the users with embeddings
    seen: Ragged  # N
    targets: NDArray[np.int64]  # (N,)
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
    for path, first, last in zip(paths, starts[:-1], starts[1:], strict=True):
        rows_here = chosen[(chosen >= first) & (chosen < last)] - first
        parts.append(pq.read_table(path, columns=["user_id", "items", "seen", "target"]).take(rows_here))
    rows = pa.concat_tables(parts)
    items, seen = (Ragged.of_arrow(rows[name].combine_chunks()) for name in ("items", "seen"))
    order = np.argsort(items.lengths.clip(max=max_len), kind="stable")
    unknown = np.full(len(rows), UNKNOWN)
    users = unknown if user_hashes is None else user_rows(hash_ids(rows["user_id"]), user_hashes)
    return ValidationUsers(
        items=items.take(order),
        max_len=max_len,
        users=users[order],
        seen=seen.take(order),
        targets=rows["target"].to_numpy().astype(np.int64)[order],
        counts=data.counts.numpy(),
    )


@torch.inference_mode()
def validate(model: Encoder, users: ValidationUsers, *, batch_size: int, bf16: bool, process: Process) -> dict[str, float]:
    """recall@1, recall and ndcg at 10 and 20, and the full-softmax cross-entropy of the targets, over the users of all ranks.

    evaluate gives the same metrics for the same users. A target's rank is one more than the number of other items that the user
    hasn't seen and that score at least as much. A target without a training event is a miss, counted in `misses` and in every
    mean. For users without any item, items score by their popularity; the cross-entropy always uses the model's scores. Raises
    UserError for a score that isn't finite.
    """
    model.eval()
    matrix = model.item_matrix()[FIRST_ITEM:].float()  # (V, D)
    popularity = torch.from_numpy(np.unique(users.counts, return_inverse=True)[1]).to(matrix)  # (V,), the counts' ranks, float32
    loss, ranks = 0.0, [np.zeros(0, dtype=np.int64)]
    for rows in _batches(len(users.targets), min(batch_size, max(1, SCORES // len(matrix)))):
        items = torch.from_numpy(_inputs(users, rows)).to(process.device)  # (B, L)
        user_idx = torch.from_numpy(users.users[rows]).to(process.device)  # (B,)
        with torch.autocast(process.device.type, torch.bfloat16, enabled=bf16):
            query = model.query(*(items, user_idx)[: len(model.inputs)]).float()
        scores = query @ matrix.T  # (B, D) @ (D, V) -> (B, V)
        targets = torch.from_numpy(users.targets[rows]).to(process.device) - FIRST_ITEM
        loss += float((scores.logsumexp(-1) - scores.gather(1, targets[:, None])[:, 0]).sum())
        scores[(items == PADDING).all(1)] = popularity
        of_target = scores.gather(1, targets[:, None])  # (B, 1)
        scores[_seen(users, rows, process.device)] = -torch.inf
        scores.scatter_(1, targets[:, None], of_target)
        ranks.append((scores >= of_target).sum(1).cpu().numpy())
    model.train()
    if not np.isfinite(loss):
        raise UserError("the validation's scores aren't finite: lower optimizer.lr or set optimizer.clip_norm")
    trained = users.counts[users.targets - FIRST_ITEM] > 0
    sums = metrics.metric_sums(np.where(trained, np.concatenate(ranks), metrics.MISS), cutoffs=(1, 10, 20))
    of_rank = torch.tensor([sums["users"], sums["misses"], loss, *(sums[name] for name in REPORTED.values())])
    count, misses, *totals = process.sum(of_rank.double()).tolist()
    return {**dict(zip(("loss", *REPORTED), (total / count for total in totals), strict=True)), "misses": misses}


def _batches(count: int, size: int) -> Iterator[NDArray[np.int64]]:
    """The rows 0 to count - 1, at most `size` at a time."""
    return (np.arange(start, min(start + size, count)) for start in range(0, count, size))


def _inputs(users: ValidationUsers, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The newest max_len items of some users (B, L), left-padded to the longest of them."""
    longest = int(users.items.lengths[rows].max())
    return users.items.left_padded(rows, max(1, min(longest, users.max_len)))


def _seen(users: ValidationUsers, rows: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column indices of the seen items of some users in a block of scores."""
    seen = users.seen.take(rows)
    return torch.from_numpy(seen.rows).to(device), torch.from_numpy(seen.values - FIRST_ITEM).to(device)
