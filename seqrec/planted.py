"""A planted process that chooses each next item by many of those before it: pairs follow at a distance, and tastes drift.

Items lie in topics of about 20. Each has a few successors in its topic, with geometrically falling probabilities; the likeliest
ones form a cycle through the topic, the others are drawn by popularity (Zipf). A user's first item is drawn by popularity. Each
next one is

    with probability noise   an item drawn by popularity;
    with probability taste   an item drawn by popularity from the topic of an earlier item: what the user has liked lately;
    else                     a successor of an earlier item.

The earlier item is x_k, the k-th from the end, with probability tastes[k] or follows[k]; where the past is shorter than a lag,
the other lags share its probability. Nobody has an item twice: if the user has had the item, all is drawn again. So, with p(j)
the popularity of item j, p(T) the sum over a topic's items, T(j) the topic of j, and S[i, s] the s-th successor of item i,

    Q(j) = noise · p(j) + taste · sum over k of tastes[k] · [T(x_k) = T(j)] · p(j) / p(T(j))
           + (1 - noise - taste) · sum over k, s of follows[k] · steps[s] · [S[x_k, s] = j]

    P(j | past) = Q(j) / sum of Q over the unseen items   for unseen j, else 0.

Nothing is hidden: P is a function of the past alone. Ranking the unseen items by Q is then the best that any model can do under
the protocol of `evaluate` (whole catalogue, seen filtered); its NDCG@10 is expected to be

    sum over r = 1..10 of P(r-th likeliest | past) / log2(1 + r),   averaged over the users' pasts.

Counts of what follows an item, a Markov chain of first order, know the pairs at lag 1 alone. The pairs' part of Q is a mixture
transition distribution with one matrix for all lags (Raftery 1985, A model for high-order Markov chains).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

TOPIC_SIZE = 20
TOP = 10
FOLLOWS = np.array([0.1, 0.45, 0.45])  # of lags from 1: most pairs follow at a distance
TASTES = 0.85 ** np.arange(20)  # of lags from 1, up to a factor
FEW = 256  # draws at once, where fewer users wait for an item that they haven't had
BLOCK = 2_500_000  # numbers of a table of users and items that is held at a time


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What Q is made of; items are counted from 0, lags from 1."""

    successors: Indices  # (N, S), distinct in a row, likeliest first
    steps: Floats  # (S,) probabilities of the successors, falling
    popularity: Floats  # (N,) probabilities
    topic: Indices  # (N,) from 0, ascending
    follows: Floats  # (K,) probabilities of the lags of the item that is followed
    tastes: Floats  # (W,) probabilities of the lags of the item whose topic is taken
    noise: float
    taste: float

    @cached_property
    def ends(self) -> Floats:
        """(N + 1,) the popularity of all items before each one, and of all."""
        return np.append(0.0, np.cumsum(self.popularity))

    @cached_property
    def bounds(self) -> Indices:
        """(G + 1,) the first item of each topic, and N."""
        return np.append(0, np.cumsum(np.bincount(self.topic)))

    def weigh(self, paths: Indices, lengths: Indices) -> Floats:
        """Q (B, N) after the first `lengths` (B,), each at least 1, of the paths (B, L); a row sums to 1, seen items included."""
        rows, masses = np.arange(len(paths))[:, None], np.add.reduceat(self.popularity, self.bounds[:-1])  # (G,)
        liked, chances = _lagged(paths, lengths, self.taste * self.tastes)
        keys = rows * len(masses) + self.topic[liked]
        lately = np.bincount(keys.ravel(), chances.ravel(), minlength=len(paths) * len(masses)).reshape(len(paths), -1)
        weights = np.repeat(self.noise + lately / masses, np.diff(self.bounds), axis=1)  # (B, N)
        weights *= self.popularity
        followed, chances = _lagged(paths, lengths, (1 - self.noise - self.taste) * self.follows)
        np.add.at(weights, (rows[:, :, None], self.successors[followed]), chances[:, :, None] * self.steps)  # (B, K, S)
        return weights


def plant(*, items: int, successors: int = 3, noise: float = 0.1, taste: float = 0.3, fall: float = 0.5, seed: int = 42) -> Chain:
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
    return Chain(
        successors=chosen,
        steps=steps / steps.sum(),
        popularity=weights / weights.sum(),
        topic=np.repeat(np.arange(len(topics(items))), [len(topic) for topic in topics(items)]),
        follows=FOLLOWS / FOLLOWS.sum(),
        tastes=TASTES / TASTES.sum(),
        noise=noise,
        taste=taste,
    )


def topics(items: int) -> list[Indices]:
    """The items of each topic, near-equal runs of about TOPIC_SIZE."""
    return np.array_split(np.arange(items), max(1, items // TOPIC_SIZE))


def walk(chain: Chain, lengths: Indices, generator: Generator) -> Indices:
    """Histories (B, longest) of users with these lengths (B,), oldest first, filled up with -1 at the end."""
    paths = np.full((len(lengths), int(lengths.max())), -1)
    paths[:, 0] = _popular(chain, generator.random(len(lengths)))
    for step in range(1, paths.shape[1]):
        waiting = np.flatnonzero(lengths > step)
        while waiting.size:
            tries = max(1, FEW // waiting.size)  # at once, where few users are left
            past = paths[waiting, :step]
            drawn = _next(chain, np.repeat(past, tries, axis=0), generator).reshape(-1, tries)
            fresh = ~(past[:, None, :] == drawn[:, :, None]).any(axis=2)  # (B, tries)
            done, first = fresh.any(axis=1), fresh.argmax(axis=1)
            paths[waiting[done], step] = drawn[done, first[done]]
            waiting = waiting[~done]
    return paths


def best_lists(chain: Chain, paths: Indices, lengths: Indices) -> tuple[Indices, Floats]:
    """The TOP likeliest next items (B, TOP) after the first `lengths` of each path, and their probabilities, best first.

    If fewer items are unseen, the rest of a list is -1 with probability 0; if the catalogue is smaller, lists are shorter.
    """
    rows = max(1, BLOCK // len(chain.popularity))
    cuts = range(rows, len(paths), rows)
    blocks = zip(np.split(paths, cuts), np.split(lengths, cuts), strict=True)
    lists, chances = zip(*(_best(chain, *block) for block in blocks), strict=True)
    return np.concatenate(lists), np.concatenate(chances)


def gains(chain: Chain, paths: Indices, lengths: Indices) -> Floats:
    """NDCG@10 of the best lists after the first `lengths` of the paths, summed: expected, and on the item that came next."""
    lists, chances = best_lists(chain, paths, lengths)
    discounts = 1 / np.log2(np.arange(lists.shape[1]) + 2)
    hits = lists == paths[np.arange(len(paths)), lengths][:, None]
    return np.array([(chances * discounts).sum(), (hits * discounts).sum()])


def _best(chain: Chain, paths: Indices, lengths: Indices) -> tuple[Indices, Floats]:
    """`best_lists` of a block of users. The best items lie in the topics whose best items are best: others aren't sorted."""
    weights, rows = chain.weigh(paths, lengths), np.arange(len(paths))[:, None]
    user, place = np.nonzero(np.arange(paths.shape[1]) < lengths[:, None])
    weights[user, paths[user, place]] = 0.0
    unseen = weights.sum(axis=1, keepdims=True)
    starts, sizes = chain.bounds[:-1], np.diff(chain.bounds)
    chosen = _largest(np.maximum.reduceat(weights, starts, axis=1))
    within = np.arange(sizes.max())
    candidates = np.minimum(starts[chosen, None] + within, len(chain.topic) - 1).reshape(len(paths), -1)
    chances = np.where((within < sizes[chosen, None]).reshape(len(paths), -1), weights[rows, candidates] / unseen, 0.0)
    best = _largest(chances)
    return np.where(chances[rows, best] > 0, candidates[rows, best], -1), chances[rows, best]


def _largest(table: Floats) -> Indices:
    """The places (B, TOP) of the largest numbers in each row (B, C), largest first; (B, C) if there are fewer."""
    if table.shape[1] <= TOP:
        return np.argsort(-table, axis=1, kind="stable")
    best = np.argpartition(-table, TOP - 1, axis=1)[:, :TOP]
    return np.take_along_axis(best, np.argsort(-np.take_along_axis(table, best, axis=1), axis=1, kind="stable"), axis=1)


def _lagged(paths: Indices, lengths: Indices, weights: Floats) -> tuple[Indices, Floats]:
    """The items at each lag (B, K) before the ends of the paths, and the lags' weights, of which those beyond the start are 0."""
    places = lengths[:, None] - np.arange(1, len(weights) + 1)
    kept = np.where(places >= 0, weights, 0.0)
    kept *= weights.sum() / kept.sum(axis=1, keepdims=True)
    return paths[np.arange(len(paths))[:, None], np.maximum(places, 0)], kept


def _next(chain: Chain, past: Indices, generator: Generator) -> Indices:
    """An item (B,) for each past (B, L), drawn from Q."""
    source, lag, place = generator.random((3, len(past)))
    popular = np.flatnonzero(source < chain.noise + chain.taste)
    back = _lag(chain.follows, lag, longest=past.shape[1])
    back[popular] = _lag(chain.tastes, lag[popular], longest=past.shape[1])
    earlier = past[np.arange(len(past)), -back]
    drawn: Indices = chain.successors[earlier, np.searchsorted(np.cumsum(chain.steps[:-1]), place, side="right")]
    topic = np.where(source[popular] < chain.noise, -1, chain.topic[earlier[popular]])
    drawn[popular] = _popular(chain, place[popular], topic)
    return drawn


def _lag(lags: Floats, drawn: Floats, *, longest: int) -> Indices:
    """Lags (B,), none above the longest, chosen by numbers in [0, 1) and the lags' probabilities."""
    ends = np.cumsum(lags[:longest])
    lag: Indices = 1 + np.searchsorted(ends[:-1], drawn * ends[-1], side="right")
    return lag


def _popular(chain: Chain, drawn: Floats, topic: Indices | None = None) -> Indices:
    """Items (B,) by popularity, chosen by numbers in [0, 1): of the topics (B,), or of the whole catalogue where that is -1."""
    if topic is not None:
        low, high = chain.ends[np.where(topic < 0, chain.bounds[[[0], [-1]]], chain.bounds[[topic, topic + 1]])]
        drawn = low + drawn * (high - low)
    return np.searchsorted(chain.ends[1:-1], drawn, side="right")
