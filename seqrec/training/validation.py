"""Validation over the whole catalogue, seen items filtered."""

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
from seqrec.models.encoders import Encoder
from seqrec.storage import files, versions
from seqrec.training.processes import Process
from seqrec.user_hashes import UNKNOWN, hash_ids, user_rows

SCORES = 1 << 25  # floats of a block of scores: 128 MB
MEASURED = {"recall@1": "hit_rate@1"} | {  # with one target, the hit rate is the recall
    f"{name}@{cutoff}": f"{kind}@{cutoff}" for cutoff in (10, 20) for name, kind in (("recall", "hit_rate"), ("ndcg", "ndcg"))
}


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Users with a held-out target, shortest input first."""

    items: list[NDArray[np.int64]]  # the newest max_len of each user
    users: NDArray[np.int64]  # (N,), places among those known
    seen: list[NDArray[np.int64]]
    targets: NDArray[np.int64]  # (N,)
    counts: NDArray[np.int64]  # (V,), training events of each item


def read_held_out(
    table: str,
    *,
    max_len: int,
    users: int | None,
    seed: int,
    process: Process,
    cache: Path,
    known: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> HeldOut | None:
    """The rank's share of the table valid, or of a seeded sample of its users; None if it holds nobody out.

    Known are the hashes of the users that the model has embeddings of, sorted; counts (V,) are the items' training events.
    Raises UserError if the table isn't whole.
    """
    paths = [files.fetch(files.join(table, name), cache) for name in versions.table_files(table)]
    starts = np.cumsum([0, *(pq.read_metadata(path).num_rows for path in paths)])
    if not starts[-1]:
        return None
    chosen = np.sort(np.random.default_rng(seed).permutation(starts[-1])[:users])[process.rank :: process.world]
    pieces = []
    for path, first, last in zip(paths, starts[:-1], starts[1:], strict=True):
        wanted = chosen[(chosen >= first) & (chosen < last)] - first
        pieces.append(pq.read_table(path, columns=["user_id", "items", "seen", "target"]).take(wanted))
    rows = pa.concat_tables(pieces)
    items = [np.asarray(row[-max_len:], dtype=np.int64) for row in rows["items"].to_pylist()]
    order = np.argsort([len(row) for row in items], kind="stable")
    seen = [np.asarray(row, dtype=np.int64) for row in rows["seen"].to_pylist()]
    targets = rows["target"].to_numpy().astype(np.int64)
    owners = user_rows(hash_ids(rows["user_id"]), known) if len(known) else np.full(len(targets), UNKNOWN)
    return HeldOut(
        items=[items[i] for i in order],
        users=owners[order],
        seen=[seen[i] for i in order],
        targets=targets[order],
        counts=counts,
    )


@torch.inference_mode()
def validate(model: Encoder, held_out: HeldOut, *, batch_size: int, bf16: bool, process: Process) -> dict[str, float]:
    """recall@1, recall and ndcg at 10 and 20, and the full-softmax cross-entropy of the targets, over the users of all ranks.

    What evaluate says of the same users: a target's rank is one more than the number of other items, not seen by the user, that
    score at least as much; a target without a training event is a miss, counted in `misses` and in every mean; users without any
    item are ranked by popularity. The cross-entropy is the model's own, of all targets. Raises UserError for a score that isn't
    finite.
    """
    model.eval()
    matrix = model.item_matrix()[FIRST_ITEM:].float()  # (V, D)
    popular = torch.from_numpy(np.unique(held_out.counts, return_inverse=True)[1]).to(matrix)  # (V,), their order in float32
    loss, ranks = 0.0, []
    for rows in _batches(len(held_out.targets), min(batch_size, max(1, SCORES // len(matrix)))):
        items = _left_pad(held_out.items[rows], process.device)  # (B, L)
        users = torch.from_numpy(held_out.users[rows]).to(process.device)
        with torch.autocast(process.device.type, torch.bfloat16, enabled=bf16):
            query = model.query(*(items, users)[: len(model.inputs)]).float()
        scores = query @ matrix.T  # (B, D) @ (D, V) -> (B, V)
        targets = torch.from_numpy(held_out.targets[rows]).to(process.device) - FIRST_ITEM
        loss += float((scores.logsumexp(-1) - scores.gather(1, targets[:, None])[:, 0]).sum())
        scores[(items == PADDING).all(1)] = popular
        own = scores.gather(1, targets[:, None])  # (B, 1)
        scores[_flat(held_out.seen[rows], process.device)] = -torch.inf
        scores.scatter_(1, targets[:, None], own)
        ranks.append((scores >= own).sum(1).cpu().numpy())
    model.train()
    if not np.isfinite(loss):
        raise UserError("the validation's scores aren't finite: lower optimizer.lr or set optimizer.clip_norm")
    ranked = np.concatenate(ranks) if ranks else np.zeros(0, dtype=np.int64)
    trained = held_out.counts[held_out.targets - FIRST_ITEM] > 0
    sums = metrics.metric_sums(np.where(trained, ranked, metrics.MISS), cutoffs=(1, 10, 20))
    local = torch.tensor([sums["users"], sums["misses"], loss, *(sums[name] for name in MEASURED.values())])
    count, misses, *totals = process.sum(local.double()).tolist()
    return {**dict(zip(("loss", *MEASURED), (total / count for total in totals), strict=True)), "misses": misses}


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _left_pad(rows: list[NDArray[np.int64]], device: torch.device) -> Tensor:
    width = max(1, max(map(len, rows)))
    padded = np.zeros((len(rows), width), dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, width - len(row) :] = row
    return torch.from_numpy(padded).to(device)


def _flat(seen: list[NDArray[np.int64]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column indices of the seen items in a block of scores."""
    users = np.repeat(np.arange(len(seen)), [len(row) for row in seen])
    columns = np.concatenate(seen) - FIRST_ITEM
    return torch.from_numpy(users).to(device), torch.from_numpy(columns).to(device)
