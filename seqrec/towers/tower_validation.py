"""The ranks of held-out events' items among all items, by the towers as they are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from seqrec import metrics
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.models.two_towers import Tower, TwoTowers
from seqrec.ragged import Ragged
from seqrec.serving.feature_encoding import Features
from seqrec.towers.matching_inputs import TowerCatalogue
from seqrec.towers.tower_survey import HeldOutEvents, TowerSurvey
from seqrec.training.processes import Process
from seqrec.user_hashes import hash_ids

CUTOFFS = (1, 10, 20)
REPORTED = ("recall@1", "recall@10", "ndcg@10", "recall@20", "ndcg@20")
SCORES = 1 << 25  # floats of a block of scores: 128 MB
ROWS = 8192  # that go through a tower at once


@dataclass(frozen=True, kw_only=True)
class ValidationEvents:
    """N events that a process validates with, and all V items, by their place in the catalogue.

    users    (N, Fu) features as of the event
    targets  (N,) the event's item
    had      N lists: items that the user had before
    items    (V, Fi) features
    unknown  items of which nothing is known: they are never recommended
    """

    users: Features
    targets: NDArray[np.int64]
    had: Ragged
    items: Features
    unknown: NDArray[np.int64]


def validation_events(survey: TowerSurvey, catalogue: TowerCatalogue, process: Process) -> ValidationEvents:
    """The share of a process in the held-out events; those whose item isn't in the catalogue are left out, in all metrics."""
    held_out, ids = survey.held_out, catalogue.ids["item_id"].combine_chunks()
    targets = pc.fill_null(pc.index_in(held_out.targets, value_set=ids), -1).to_numpy().astype(np.int64)
    chosen = np.flatnonzero(targets >= 0)[process.rank :: process.world]
    items = survey.items.encode(catalogue.rows)
    return ValidationEvents(
        users=survey.users.encode(held_out.rows.take(chosen)),
        targets=targets[chosen],
        had=_had(held_out, targets, chosen),
        items=items,
        unknown=np.flatnonzero(~survey.items.tells(items)),
    )


def _had(held_out: HeldOutEvents, targets: NDArray[np.int64], chosen: NDArray[np.int64]) -> Ragged:
    """Of chosen events the items, by their place in the catalogue, that the user had before: in earlier held-out events too."""
    users, places = hash_ids(held_out.users), np.arange(len(targets))
    begins = np.concatenate([[True], users[1:] != users[:-1]])[: len(users)]
    firsts = np.maximum.accumulate(np.where(begins, places, 0))
    seen = [held_out.seen.values[held_out.seen.offsets[row] : held_out.seen.offsets[row + 1]] - FIRST_ITEM for row in chosen]
    earlier = [targets[firsts[row] : row] for row in chosen]
    return Ragged.of_arrays([np.union1d(had, had_since[had_since >= 0]) for had, had_since in zip(seen, earlier, strict=True)])


def vectors_of(tower: Tower, features: Features, device: torch.device) -> torch.Tensor:
    """The vectors (N, D) of features (N, F), in evaluation mode and fp32, on the device; its mode is as before after it."""
    was_training = tower.training
    tower.eval()
    with torch.inference_mode():
        vectors = torch.cat([tower(rows.to(device)) for rows in torch.split(torch.from_numpy(features), ROWS)])
    tower.train(was_training)
    return vectors


def measure_towers(towers: TwoTowers, events: ValidationEvents, *, process: Process) -> dict[str, float]:
    """recall and ndcg at 1, 10 and 20 over the events of all processes, each an event of its own; the same in all processes.

    A rank counts the items that the user hasn't had, or that are the target, and that score at least as much, itself included.
    Items of which nothing is known are behind all, as they are in no list. Raises UserError for a score that isn't finite.
    """
    users, items = (
        vectors_of(tower, rows, process.device) for tower, rows in ((towers.users, events.users), (towers.items, events.items))
    )
    ranks = np.concatenate([np.zeros(0, np.int64), *_ranks(users, items, events)])
    sums = metrics.metric_sums(metrics.RankCounts.of(Ragged.of(ranks[:, None].tolist())), cutoffs=CUTOFFS)
    summed = process.sum(torch.tensor(list(sums.values()), dtype=torch.float64)).tolist()
    means = metrics.metric_means(dict(zip(sums, summed, strict=True)))
    return {name: means[name] for name in REPORTED}


def judged_block(towers: TwoTowers, *, events: ValidationEvents) -> torch.Tensor:
    """What `measure_towers` holds of all users and items, made of zeros; a block of each and of their scores is computed."""
    size = min(max(1, len(events.users)), _block_size(events))
    users, items = (
        tower(torch.zeros(min(ROWS, max(1, len(rows))), rows.shape[1]))
        for tower, rows in ((towers.users, events.users), (towers.items, events.items))
    )
    every = torch.zeros(len(events.users) + len(events.items), items.shape[1])
    (torch.zeros(size, users.shape[1]) @ torch.zeros(len(events.items), items.shape[1]).T).isfinite()
    return every


def _block_size(events: ValidationEvents) -> int:
    """Events whose scores of all items are computed at once."""
    return max(1, SCORES // max(1, len(events.items)))


def _ranks(users: torch.Tensor, items: torch.Tensor, events: ValidationEvents) -> Iterator[NDArray[np.int64]]:
    """The ranks of the events' targets, from 1, in blocks."""
    size = _block_size(events)
    for first in range(0, len(users), size):
        rows = np.arange(first, min(first + size, len(users)))
        scores = users[rows[0] : rows[-1] + 1] @ items.T  # (B, D) @ (D, V) -> (B, V)
        if not torch.isfinite(scores).all():
            raise UserError("scores of the validation aren't finite: lower features.optimizer.lr, start over with resume=false")
        own = torch.from_numpy(events.targets[rows]).to(scores.device)
        scores[:, torch.from_numpy(events.unknown).to(own)] = -torch.inf
        of_targets = scores.gather(1, own[:, None])
        had = events.had.take(rows)
        scores[torch.from_numpy(had.rows).to(own), torch.from_numpy(had.values).to(own)] = -torch.inf
        scores.scatter_(1, own[:, None], of_targets)
        yield (scores >= of_targets).sum(1).cpu().numpy()


def catalogue_matrix(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (V, D) of a catalogue as an item matrix (V + 2, D), whose rows are item_idx."""
    return np.concatenate([np.zeros((FIRST_ITEM, vectors.shape[1]), np.float32), vectors])
