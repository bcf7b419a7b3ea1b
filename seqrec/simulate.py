"""Ratings of simulated users, drawn from the process of `seqrec.planted`, for which the best possible NDCG@10 is known.

    python -m seqrec.simulate --users 4000 --items 1000 --events 200000 --output ratings.csv --titles titles.csv

The best holds for a dataset that keeps every rating. Each user has at least 5 ratings; the JSON file beside the output has the
number of ratings of the rarest item.
"""

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.random import Generator, default_rng

from seqrec.command.entry import command_line
from seqrec.command.screen import counted, show
from seqrec.errors import UserError
from seqrec.planted import TOPIC_SIZE, Chain, Indices, gains, plant, topics, walk

LEAST_EVENTS = 5
USERS_PER_CHUNK = 4096
EPOCH = 1_500_000_000
RATINGS = np.array([1, 2, 3, 4, 5]), np.array([0.06, 0.11, 0.26, 0.35, 0.22])
TOPICS = ["Action", "Ballet", "Comedy", "Crime", "Drama", "Fantasy", "History", "Horror", "Jazz", "Mystery", "Nature", "Western"]
SCHEMA = pa.schema({"user_id": pa.int64(), "item_id": pa.int64(), "rating": pa.int64(), "timestamp": pa.int64()})
BACK = {"valid": 2, "test": 1}
WRITERS = {".csv": pyarrow.csv.CSVWriter, ".parquet": pyarrow.parquet.ParquetWriter}


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The numbers of simulated users, items and ratings (events), and the arguments of the process: see `planted.plant`."""

    users: int
    items: int
    events: int
    successors: int = 3
    noise: float = 0.1
    taste: float = 0.3
    seed: int = 42

    def check(self) -> None:
        """Raise UserError for numbers with which no ratings can be simulated."""
        if self.users < 1 or self.events < LEAST_EVENTS * self.users:
            raise UserError(f"--users {self.users} --events {self.events}: at least 1 user and {LEAST_EVENTS} events a user")
        if not 0 < self.successors < min(self.items, TOPIC_SIZE):
            most = min(self.items, TOPIC_SIZE) - 1
            raise UserError(f"--successors {self.successors}: from 1 to {most} of {self.items} items")
        if not 0 < self.noise <= 1:
            raise UserError(f"--noise {self.noise}: more than 0, and at most 1")
        if not 0 <= self.taste <= 1 - self.noise:
            raise UserError(f"--taste {self.taste}: from 0 to {1 - self.noise:g}, as --noise is {self.noise}")

    def chain(self) -> Chain:
        """The process that the ratings are drawn from."""
        return plant(items=self.items, successors=self.successors, noise=self.noise, taste=self.taste, seed=self.seed)


def simulate(chain: Chain, *, users: int, events: int, seed: int = 42) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Chunks of users: their ids from 1 (B,), lengths (B,) and paths (B, longest); `events` in all, at least 5 a user.

    Raises UserError where the longest history would take more than half of the items.
    """
    lengths = _lengths(users, events, seed)
    items, longest = len(chain.popularity), int(lengths.max())
    if 2 * longest > items:
        raise UserError(f"the longest history has {longest} events, so it takes {2 * longest} items, not {items}: raise --items")
    for start in range(0, users, USERS_PER_CHUNK):
        some = lengths[start : start + USERS_PER_CHUNK]
        yield np.arange(start + 1, start + len(some) + 1), some, walk(chain, some, default_rng([seed, 2, start]))


def write_ratings(path: Path, simulation: Simulation) -> dict[str, Any]:
    """Write the ratings (CSV or Parquet by the suffix) and, beside them, a JSON file with what is returned: the best possible.

    `best_ndcg@10` is the expectation, by split (test: the last event, valid: the last but one); `drawn_ndcg@10` is what the
    same lists reach on the targets as they were drawn: what to compare a model's with. A chunk of users is held at a time.
    """
    writer = WRITERS.get(path.suffix)
    if writer is None:
        raise UserError(f"--output {path}: the suffix is {path.suffix or 'missing'}, use {' or '.join(WRITERS)}")
    simulation.check()
    chain = simulation.chain()
    chunks = simulate(chain, users=simulation.users, events=simulation.events, seed=simulation.seed)
    first = next(chunks)  # its checks come before the file
    counts = np.zeros(simulation.items, dtype=np.int64)
    sums = {split: np.zeros(2) for split in BACK}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    with writer(unfinished, SCHEMA) as sink:
        for ids, lengths, paths in itertools.chain([first], chunks):
            sink.write_table(_ratings(ids, lengths, paths, default_rng([simulation.seed, 3, int(ids[0])])))
            counts += np.bincount(paths[paths >= 0], minlength=simulation.items)
            for split, back in BACK.items():
                sums[split] += gains(chain, paths, lengths - back)
    unfinished.replace(path)
    facts: dict[str, Any] = {
        "made_with": asdict(simulation),
        "rarest_item_events": int(counts.min()),
        "best_ndcg@10": {split: float(pair[0] / simulation.users) for split, pair in sums.items()},
        "drawn_ndcg@10": {split: float(pair[1] / simulation.users) for split, pair in sums.items()},
    }
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    return facts


def write_titles(path: Path, *, items: int) -> None:
    """Write item_id, title: the topic, and the item's number in it."""
    ids, titles = [], []
    for number, topic in enumerate(topics(items)):
        name = TOPICS[number % len(TOPICS)] + (f" {number // len(TOPICS) + 1}" if number >= len(TOPICS) else "")
        ids += (topic + 1).tolist()
        titles += [f"{name} no. {place}" for place in range(1, len(topic) + 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.csv.write_csv(pa.table({"item_id": ids, "title": titles}), path)


def against_best(reached: Mapping[str, float], *, best: float) -> str:
    """Each method's figure, in words, and its share of the best possible.

    >>> against_best({"sasrec": 0.33, "markov": 0.22}, best=0.44)
    'sasrec 0.3300 (75 %), markov 0.2200 (50 %); the best possible is 0.4400'
    """
    shares = [f"{name} {value:.4f} ({100 * value / best:.0f} %)" for name, value in reached.items()]
    return f"{', '.join(shares)}; the best possible is {best:.4f}"


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    sizes = {"users": 4000, "items": 1000, "events": 200_000, "successors": 3, "seed": 42}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    shares = {"noise": (0.1, "by popularity"), "taste": (0.3, "from the topics that a user has liked lately")}
    for name, (share, how) in shares.items():
        parser.add_argument(f"--{name}", type=float, default=share, help=f"share of items drawn {how}, default {share}")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="ratings, .csv or .parquet")
    parser.add_argument("--titles", type=Path, metavar="FILE", help="also item_id, title as CSV")
    arguments = parser.parse_args(argv)
    output, titles = arguments.output, arguments.titles
    simulation = Simulation(**{name: getattr(arguments, name) for name in (*sizes, *shares)})
    with command_line():
        facts = write_ratings(output, simulation)
        if titles is not None:
            write_titles(titles, items=simulation.items)
    best, drawn = facts["best_ndcg@10"]["test"], facts["drawn_ndcg@10"]["test"]
    size = f"{counted(simulation.users, 'user')} and {counted(simulation.items, 'item')}"
    show(f"{output}: {counted(simulation.events, 'rating')} of {size}")
    show(f"the best possible test NDCG@10 is expected at {best:.4f}, and is {drawn:.4f} on the targets drawn")


def _lengths(users: int, events: int, seed: int) -> Indices:
    """Events of each user: 5, and a share of the rest that is skewed (gamma with shape 2)."""
    weights = default_rng([seed, 1]).gamma(2.0, size=users)
    ends = np.round(np.cumsum(weights) / weights.sum() * (events - LEAST_EVENTS * users)).astype(np.int64)
    return LEAST_EVENTS + np.diff(ends, prepend=0)


def _ratings(ids: Indices, lengths: Indices, paths: Indices, generator: Generator) -> pa.Table:
    """The rows of a chunk, in random order: the time alone tells a user's order."""
    start = generator.integers(0, 10_000_000, len(ids))
    times = EPOCH + start[:, None] + np.cumsum(generator.integers(1, 3600, paths.shape), axis=1)
    order = generator.permutation(int(lengths.sum()))
    there = paths >= 0
    columns = {
        "user_id": np.repeat(ids, lengths)[order],
        "item_id": paths[there][order] + 1,
        "rating": generator.choice(RATINGS[0], p=RATINGS[1], size=len(order)),
        "timestamp": times[there][order],
    }
    return pa.table(columns, schema=SCHEMA)


if __name__ == "__main__":
    main()
