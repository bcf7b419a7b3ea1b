"""What `Recommender.extend` takes and gives, in original ids."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.serving.extension import Additions, Start, extend_sequences
from seqrec.serving.model import Model
from seqrec.serving.next_items import Choice, Scorer, Weights
from seqrec.serving.topk import BlockSizes, Catalogue

BLOCK_ITEMS = 65536  # of the catalogue, that are scored at a time

Id = int | str
Mode = Literal["post", "pre", "both"]
Occurrence = Literal["newest", "oldest", "all"]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """For whom a sequence is extended, and by which items.

    user          whose sequence it is, for a model with embeddings of users
    filter_seen   no item of the sequence is added
    allow, deny   no other items are added; these never are
    keep          the occurrence that stays of an item that the sequence has several times: newest, oldest or all; None stands for
                  the one nearest to the end that grows: oldest before the sequence, newest after it and at both ends
    """

    user: Id | None = None
    filter_seen: bool = True
    allow: Collection[Id] | None = None
    deny: Collection[Id] = ()
    keep: Occurrence | None = None

    def __post_init__(self) -> None:
        """Raises UserError for another occurrence."""
        if self.keep is not None and self.keep not in get_args(Occurrence):
            raise UserError(f"keep={self.keep!r}: of a repeated item the newest or the oldest occurrence stays, or all do")

    def occurrence(self, mode: Mode) -> Occurrence:
        """The occurrence that stays in a mode."""
        return self.keep or ("oldest" if mode == "pre" else "newest")


ANYTHING = Conditions()


@dataclass(frozen=True, kw_only=True)
class Steps:
    """N steps: the end at which each adds an item, what is drawn by the seed, and how items are chosen."""

    n: int
    mode: Mode
    seed: int
    choice: Choice

    def __post_init__(self) -> None:
        """Raises UserError for values that there aren't."""
        if self.mode not in get_args(Mode):
            raise UserError(f"mode={self.mode!r}: take post (after the sequence), pre (before it) or both (a drawn end)")
        if self.n < 1:
            raise UserError(f"n={self.n}: ask for at least 1 new item")
        if self.seed < 0:
            raise UserError(f"seed={self.seed}: take a whole number from 0")

    def draw_ends(self, rng: np.random.Generator, most: int) -> list[bool]:
        """Whether each step, of at most so many, adds before the sequence; in the mode `both` each end has the same chance."""
        return [bool(rng.random() < 0.5) if self.mode == "both" else self.mode == "pre" for _ in range(min(self.n, most))]


@dataclass(frozen=True, kw_only=True)
class Added:
    """A new item, and its place in the extended sequence, from 0.

    `score` is the model's, as in a list of recommendations; of a sequence without a known item it is the item's count.
    `log_probability` is the logarithm of the softmax of the scores over all items that could be added at that step.
    """

    item_id: Id
    place: int
    score: float
    log_probability: float


@dataclass(frozen=True, kw_only=True)
class Extended:
    """A sequence that was extended, oldest first, and the items that are new in it, in the order in which they were added.

    `repeated` counts the entries of the given sequence that were left out because the item is in it again.
    """

    sequence: list[Id]
    added: list[Added]
    repeated: int

    @property
    def log_probability(self) -> float:
        """The sum over the items that were added, which beams make great."""
        return sum(item.log_probability for item in self.added)


def without_repeats(ids: Sequence[Id], keep: Occurrence) -> list[Id]:
    """The ids in their order, each one once, where its newest (last) or oldest occurrence is.

    >>> without_repeats([1, 2, 1, 3], "newest"), without_repeats([1, 2, 1, 3], "oldest"), without_repeats([1, 2, 1], "all")
    ([2, 1, 3], [1, 2, 3], [1, 2, 1])
    """
    if keep == "all":
        return list(ids)
    return list(dict.fromkeys(ids)) if keep == "oldest" else list(dict.fromkeys(reversed(ids)))[::-1]


def extend_one(
    start: Start,
    steps: Steps,
    *,
    model: Model,
    available: NDArray[np.bool_],
    backwards: onnxruntime.InferenceSession | None,
) -> tuple[Additions, list[bool]]:
    """What is added to one sequence of a model's items, and whether each item stands before it; `available` (V + 2,) may be.

    The ends and the items are drawn apart, so that the first items of more steps are those of fewer.
    """
    if is_known := bool(len(start.sequences.values)):
        rows = BlockSizes(users=max(2, steps.choice.beams), items=BLOCK_ITEMS)  # 2: the scores are those of batches, bit by bit
        catalogue = Catalogue.of(model.matrix, available)
        scorer = Scorer.of_model(model, catalogue, sizes=rows, batch_users=steps.choice.beams, backwards=backwards)
    else:
        scorer = Scorer.of_popularity(model, available)
    of_ends, of_items = np.random.default_rng(steps.seed).spawn(2)
    before = steps.draw_ends(of_ends, most=len(scorer.catalogue.items))
    additions = extend_sequences(start, before, scorer=scorer, choice=steps.choice, rng=of_items, weigh=True)
    return additions if is_known else replace(additions, scores=model.popularity[additions.items, 0]), before


def assemble(
    given: Sequence[Id],
    new: Sequence[tuple[Id, float]],
    log_probabilities: Weights,
    *,
    before: Sequence[bool],
    repeated: int,
) -> Extended:
    """The extended sequence, of new items and their scores in the order of the steps, and whether each stands before it.

    There may be fewer items than steps, and of log-probabilities as many as steps.

    >>> new = [(1, 0.5), (2, 0.4), (3, 0.3)]
    >>> longer = assemble([7], new, np.array([-1.0, -1.2, -1.5]), before=[True, False, True], repeated=0)
    >>> longer.sequence, [item.place for item in longer.added]
    ([3, 1, 7, 2], [1, 3, 0])
    """
    sequence, places = list(given), list[int]()
    for (item_id, _), is_before in zip(new, before, strict=False):
        places = [place + is_before for place in places] + [0 if is_before else len(sequence)]
        sequence.insert(places[-1], item_id)
    added = [
        Added(item_id=item_id, place=place, score=score, log_probability=weight)
        for place, (item_id, score), weight in zip(places, new, log_probabilities.tolist(), strict=False)
    ]
    return Extended(sequence=sequence, added=added, repeated=repeated)
