"""The next item of each sequence of a batch, and the three ways to choose it.

    greedy     the best item
    beams      the sequence with the greatest sum of log-probabilities among those that are kept (Graves 2012, arXiv:1211.3711)
    sampled    an item drawn by softmax(score / temperature): the greatest of score / temperature + Gumbel noise (Kool et al.
               2019, arXiv:1903.06059, section 2)

A probability is the softmax of the model's scores over the items that may be added at that step. It is what a model that was
trained by the full softmax predicts. Of a model that was trained by bce or gbce, only the order of scores means something: its
beams and draws go by the same softmax all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.ragged import Ragged
from seqrec.serving.model import Model
from seqrec.serving.queries import encode_histories
from seqrec.serving.topk import DEFAULT_SIZES, NONE, BlockSizes, Catalogue, Items, Scores, all_scores, top_k

Weights = NDArray[np.float64]
Queries = Callable[[Ragged, NDArray[np.int64], bool], Scores]
LEAST = np.finfo(np.float64).min


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How items are chosen: the best one; by `beams` sequences kept; or drawn at a temperature, perhaps among the top_k best."""

    beams: int = 1
    temperature: float | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        """Raises UserError for values out of range, and for settings that exclude each other."""
        if self.beams < 1:
            raise UserError(f"beams={self.beams}: keep at least 1 sequence; 1 takes the best item each time")
        if self.temperature is not None and not 0 < self.temperature < np.inf:
            raise UserError(f"temperature={self.temperature}: it must be above 0; leave it out to take the best item each time")
        if self.temperature is not None and self.beams > 1:
            raise UserError(f"beams={self.beams} and temperature={self.temperature}: leave one of them out")
        if self.top_k is not None and self.temperature is None:
            raise UserError(f"top_k={self.top_k} limits what is drawn: give a temperature too, such as 1.0")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top_k={self.top_k}: draw among at least 1 item")


GREEDY = Choice()


@dataclass(frozen=True, kw_only=True)
class Step:
    """R sequences to be added to: their queries (R, D), hidden items, and sums (R,) of log-probabilities so far.

    With beams, those of a user follow one another, as many of each of the `users`. `weigh` says whether log-probabilities are
    wanted.
    """

    queries: Scores
    hidden: Ragged
    totals: Weights
    users: int
    weigh: bool


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What scores the item after sequences, or before them: `queries` of both, and the items that may be added."""

    queries: Queries  # sequences (N), hashes (N,), whether the item before is meant -> (N, D)
    catalogue: Catalogue
    sizes: BlockSizes = DEFAULT_SIZES

    @classmethod
    def of_model(
        cls,
        model: Model,
        catalogue: Catalogue,
        *,
        sizes: BlockSizes,
        batch_users: int,
        backwards: onnxruntime.InferenceSession | None = None,
    ) -> "Scorer":
        """By a model's queries; `backwards` is the session of the item before, which only a bidirectional model has."""
        return cls(queries=partial(_encode, model, backwards, batch_users), catalogue=catalogue, sizes=sizes)

    @classmethod
    def of_popularity(cls, model: Model, available: NDArray[np.bool_]) -> "Scorer":
        """By the logarithms of the training counts, whatever the sequence: their softmax is an item's share of all events."""
        trained = available & model.trained
        logs = np.log(model.popularity, where=model.popularity > 0, out=np.zeros_like(model.popularity))
        return cls(queries=lambda sequences, *_: np.ones((len(sequences), 1)), catalogue=Catalogue.of(logs, trained))

    def best(self, step: "Step", k: int) -> tuple[Items, Scores]:
        """Items and scores (N, k) of the best items that are not hidden, short lists ended by NONE."""
        return top_k(step.queries, self.catalogue, k=k, seen=step.hidden, sizes=self.sizes)

    def every(self, step: "Step") -> Scores:
        """The scores (N, C) of all items that may be added, -inf for the hidden ones."""
        return all_scores(step.queries, self.catalogue, seen=step.hidden, sizes=self.sizes)


@dataclass(frozen=True, kw_only=True)
class Picked:
    """The next items (R',), their scores and log-probabilities, and the rows of the sequences that they are added to."""

    parents: Items
    items: Items
    scores: Scores
    log_probabilities: Weights


def pick(step: Step, scorer: Scorer, choice: Choice, rng: np.random.Generator | None) -> Picked:
    """The next item of each sequence; `rng` draws what is sampled."""
    if choice.temperature is not None:
        assert rng is not None
        return _sampled(step, scorer, temperature=choice.temperature, top=choice.top_k, rng=rng)
    return _beams(step, scorer, choice.beams) if choice.beams > 1 else _greedy(step, scorer)


def _greedy(step: Step, scorer: Scorer) -> Picked:
    """The best item of each sequence, ties to the lower index."""
    items, scores = scorer.best(step, 1)
    return _one_each(items[:, 0], scores[:, 0], _log_sums(scorer.every(step)) if step.weigh else None)


def _sampled(step: Step, scorer: Scorer, *, temperature: float, top: int | None, rng: np.random.Generator) -> Picked:
    """An item of each sequence, drawn."""
    every = scorer.every(step) if top is None or step.weigh else None
    if top is None:
        assert every is not None
        items, scores = np.broadcast_to(scorer.catalogue.items, every.shape), every
    else:
        items, scores = scorer.best(step, top)
    greatest = np.maximum(scores.max(axis=1, keepdims=True), LEAST)
    with np.errstate(over="ignore"):
        noisy = (scores - greatest) / temperature + rng.gumbel(size=scores.shape)
    column = noisy.argmax(axis=1)[:, None]
    drawn: Scores = np.take_along_axis(scores, column, axis=1)[:, 0]
    chosen = np.where(np.isfinite(drawn), np.take_along_axis(items, column, axis=1)[:, 0], NONE)
    return _one_each(chosen, drawn, _log_sums(every) if step.weigh and every is not None else None)


def _beams(step: Step, scorer: Scorer, beams: int) -> Picked:
    """The continuations of each user with the greatest sums of log-probabilities, best first; ties to the better beam."""
    items, scores = scorer.best(step, beams)  # (R, beams)
    sums = _log_sums(scorer.every(step))
    weights = np.where(items == NONE, -np.inf, scores - np.maximum(sums, LEAST)[:, None])
    totals = (step.totals[:, None] + weights).reshape(step.users, -1)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :beams]
    width = len(items) // max(1, step.users)  # beams of a user so far
    parents = (np.arange(step.users)[:, None] * width + order // beams).ravel()
    chosen = parents, (order % beams).ravel()
    return Picked(parents=parents, items=items[chosen], scores=scores[chosen], log_probabilities=weights[chosen])


def _log_sums(every: Scores) -> Weights:
    """The logarithms (R,) of the sums of the exponentials of scores (R, C); -inf where all scores are.

    >>> _log_sums(np.array([[0.0, 0.0, -np.inf], [-np.inf, -np.inf, -np.inf]])).round(4).tolist()
    [0.6931, -inf]
    """
    greatest = np.maximum(every.max(axis=1), LEAST)
    with np.errstate(divide="ignore"):
        sums: Weights = greatest + np.log(np.exp(every - greatest[:, None]).sum(axis=1))
    return sums


def _one_each(items: Items, scores: Scores, sums: Weights | None) -> Picked:
    """An item a sequence; without sums the log-probability is nan."""
    weights = np.full(len(items), np.nan) if sums is None else scores - np.maximum(sums, LEAST)
    return Picked(parents=np.arange(len(items)), items=items, scores=scores, log_probabilities=weights)


def _encode(
    model: Model,
    backwards: onnxruntime.InferenceSession | None,
    batch_users: int,
    sequences: Ragged,
    hashes: NDArray[np.int64],
    before: bool,
) -> NDArray[np.float32]:
    """The queries (N, D) for the item after sequences, by their newest items, or before them, by their oldest ones."""
    if not before:
        return model.encode(sequences, batch_users, hashes)
    assert backwards is not None
    oldest, dim = sequences.oldest(model.max_len), model.matrix.shape[1]
    return encode_histories(backwards, oldest, max_len=model.max_len, dim=dim, batch_users=batch_users)
