"""A planted Markov chain over items, the walks of users on it, and the best that a recommender can do about them.

Items lie in topics of about 60. Each has a few successors in its topic, with geometrically falling probabilities; the likeliest
ones form a cycle through the topic, the others are drawn by popularity (Zipf). A user starts at a popular item; each next one
is, with probability `noise`, drawn by popularity, else a successor of the last. Nobody has an item twice: if the user has had the
item, another is drawn. So, with M[i, j] the chance of j after i, the next item's distribution given the whole past is

    P(j | past) = M[last, j] / sum of M[last, unseen]   for unseen j, else 0,

which depends on the past through its last item and the seen items alone. Ranking the unseen items by M[last, j] is then the
best that any model can do under the protocol of `evaluate` (whole catalogue, seen filtered); its NDCG@10 is expected to be

    sum over r = 1..10 of P(r-th likeliest | past) / log2(1 + r),   averaged over the users' pasts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

TOPIC_SIZE = 60
TOP = 10


@dataclass(frozen=True, kw_only=True)
class Chain:
    """M[i, j] = (1 - noise) * (steps[s] if j is successors[i, s]) + noise * popularity[j], items counted from 0."""

    successors: Indices  # (N, S), distinct in a row, likeliest first
    steps: Floats  # (S,) probabilities of the successors, falling
    popularity: Floats  # (N,) probabilities
    noise: float

    def after(self, item: int) -> Floats:
        """The row M[item], (N,)."""
        row = self.noise * self.popularity
        row[self.successors[item]] += (1 - self.noise) * self.steps
        return row


def plant(*, items: int, successors: int = 8, noise: float = 0.1, fall: float = 0.65, seed: int = 42) -> Chain:
    """Draw a chain; `fall` is the ratio of one successor's probability to the one before it.

    >>> plant(items=120, successors=2, fall=0.5).steps.round(3).tolist()
    [0.667, 0.333]
    """
    generator = default_rng([seed, 0])
    weights = 1.0 / (generator.permutation(items) + 10)
    chosen = np.empty((items, successors), dtype=np.int64)
    for topic in topics(items):
        size = len(topic)
        keys = np.log(weights[topic])[None, :] + generator.gumbel(size=(size, size))  # largest keys: a weighted draw
        order = generator.permutation(size)
        keys[order, np.roll(order, -1)] = np.inf
        np.fill_diagonal(keys, -np.inf)
        chosen[topic] = topic[np.argsort(-keys, axis=1)[:, :successors]]
    steps = fall ** np.arange(successors)
    return Chain(successors=chosen, steps=steps / steps.sum(), popularity=weights / weights.sum(), noise=noise)


def topics(items: int) -> list[Indices]:
    """The items of each topic, near-equal runs of about TOPIC_SIZE."""
    return np.array_split(np.arange(items), max(1, items // TOPIC_SIZE))


def walk(chain: Chain, lengths: Indices, generator: Generator) -> Indices:
    """Histories (B, longest) of users with these lengths (B,), oldest first, filled up with -1 at the end."""
    paths = np.full((len(lengths), int(lengths.max())), -1)
    paths[:, 0] = _popular(chain, len(lengths), generator)
    for step in range(1, paths.shape[1]):
        waiting = np.flatnonzero(lengths > step)
        while waiting.size:
            drawn = _next(chain, paths[waiting, step - 1], generator)
            fresh = ~(paths[waiting, :step] == drawn[:, None]).any(axis=1)
            paths[waiting[fresh], step] = drawn[fresh]
            waiting = waiting[~fresh]
    return paths


def best_lists(chain: Chain, paths: Indices, lengths: Indices) -> tuple[Indices, Floats]:
    """The TOP likeliest next items (B, TOP) after the first `lengths` of each path, and their probabilities, best first.

    If fewer items are unseen, the rest of a list is -1 with probability 0; if the catalogue is smaller, lists are shorter.
    Besides the successors only the most popular items can be among them: as many as TOP and the longest past together.
    """
    rows = np.arange(len(paths))[:, None]
    past = np.where(np.arange(paths.shape[1]) < lengths[:, None], paths, -1)
    had = past >= 0
    following = chain.successors[paths[rows[:, 0], lengths - 1]]  # (B, S)
    popular = np.argsort(-chain.popularity, kind="stable")[: TOP + past.shape[1]]
    others = np.broadcast_to(popular, (len(paths), len(popular)))  # (B, TOP + L)
    keys = len(chain.popularity) * rows  # so that an item has another key in each row
    seen = (keys + past)[had]
    gone = np.isin(keys + following, seen)
    follows = np.where(gone, 0.0, (1 - chain.noise) * chain.steps + chain.noise * chain.popularity[following])
    left = ~np.isin(keys + others, np.concatenate([seen, (keys + following).ravel()]))
    candidates = np.hstack([following, others])
    chances = np.hstack([follows, np.where(left, chain.noise * chain.popularity[others], 0.0)])
    best = np.argsort(-chances, axis=1, kind="stable")[:, :TOP]
    seen_mass = chain.noise * np.where(had, chain.popularity[past], 0.0).sum(axis=1)
    seen_mass += (1 - chain.noise) * (gone * chain.steps).sum(axis=1)
    chances = chances[rows, best] / (1 - seen_mass)[:, None]
    return np.where(chances > 0, candidates[rows, best], -1), chances


def gains(chain: Chain, paths: Indices, lengths: Indices) -> Floats:
    """NDCG@10 of the best lists after the first `lengths` of the paths, summed: expected, and on the item that came next."""
    lists, chances = best_lists(chain, paths, lengths)
    discounts = 1 / np.log2(np.arange(lists.shape[1]) + 2)
    hits = lists == paths[np.arange(len(paths)), lengths][:, None]
    return np.array([(chances * discounts).sum(), (hits * discounts).sum()])


def _next(chain: Chain, last: Indices, generator: Generator) -> Indices:
    """The item that follows each user's last one, drawn from the chain."""
    slots = np.searchsorted(np.cumsum(chain.steps[:-1]), generator.random(len(last)), side="right")
    jumps = generator.random(len(last)) < chain.noise
    return np.where(jumps, _popular(chain, len(last), generator), chain.successors[last, slots])


def _popular(chain: Chain, size: int, generator: Generator) -> Indices:
    """Items drawn by popularity."""
    return np.searchsorted(np.cumsum(chain.popularity[:-1]), generator.random(size), side="right")
