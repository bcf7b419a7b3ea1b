"""ItemCF and Swing in plain Python, one loop in another, with exact sums where they are rational."""

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations

import numpy as np

Sets = dict[int, set[int]]
Scores = dict[int, dict[int, float]]


def within(pairs: list[tuple[int, int]], least: int, most: int) -> Sets:
    """The items of each user who has so many."""
    users: Sets = {}
    for user, item in pairs:
        users.setdefault(user, set()).add(item)
    return {user: items for user, items in users.items() if least <= len(items) <= most}


def turned(users: Sets) -> Sets:
    """The users of each item."""
    items: Sets = {}
    for user, of_user in users.items():
        for item in of_user:
            items.setdefault(item, set()).add(user)
    return items


def item_cf(users: Sets, samples: Mapping[int, set[int]] | None = None) -> Scores:
    """Samples, where given, are the users of an item that the sum runs over, each standing for as many of the item's users."""
    items = turned(users)
    norms = {item: sum(Fraction(1, len(users[user])) for user in of_item) for item, of_item in items.items()}
    scores: Scores = {}
    for i in items:
        for j in items:
            common = (samples or items)[i] & items[j]
            if i != j and common:
                of_one = Fraction(len(items[i]), len((samples or items)[i]))
                total = of_one * sum(Fraction(1, len(users[user])) for user in common)
                scores.setdefault(i, {})[j] = float(total) / math.sqrt(norms[i] * norms[j])
    return scores


def swing(
    users: Sets, samples: Mapping[int, set[int]] | None = None, *, alpha1: float = 15, alpha2: float = 0, beta: float = 0.3
) -> Scores:
    """As `item_cf`, a pair of the sample standing for as many pairs of the item's users."""
    items = turned(users)
    weight = {user: 1 / (alpha1 + len(of_user)) ** beta for user, of_user in users.items()}
    scores: Scores = {}
    for i in items:
        for j in items:
            pairs = list(combinations(sorted((samples or items)[i] & items[j]), 2))
            if i != j and pairs:
                terms = (weight[u] * weight[v] / (alpha2 + len(users[u] & users[v])) for u, v in pairs)
                all_pairs, ours = (math.comb(len(of[i]), 2) for of in (items, samples or items))
                scores.setdefault(i, {})[j] = math.fsum(terms) * all_pairs / ours
    return scores


def lists(scores: Scores, top_n: int) -> dict[int, list[tuple[int, float]]]:
    """The best of each item, by the score as a float, then the item."""
    rounded = {i: [(j, float(np.float32(score))) for j, score in row.items()] for i, row in scores.items()}
    return {i: sorted(row, key=lambda entry: (-entry[1], entry[0]))[:top_n] for i, row in rounded.items()}
