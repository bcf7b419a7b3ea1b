"""seqrec.evaluation.baselines against loops over users and items."""

import itertools
import random
from collections import Counter
from collections.abc import Mapping

import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.evaluation.baselines import LISTED, markov, popularity
from seqrec.tables import schemas
from seqrec.tables.schemas import IDS

BIGINT = IDS["bigint"]
V = 30


def histories(users: int) -> dict[int, list[int]]:
    """Skewed draws with repetitions; the first user has nothing before the target, the last items are never drawn."""
    chooser = random.Random(3)
    drawn = {user: [2 + int(chooser.random() ** 2 * (V - 5)) for _ in range(chooser.randint(2, 25))] for user in range(users)}
    drawn[0] = [5]
    drawn[1] = [*drawn[1][:-1], V + 1]  # a target that nobody else has had
    drawn[2] = [4, 6, 4]  # a target that was had before
    return drawn


class Case:
    """The tables of a small data set whose last events are held out, and what they were made from.

    With `several` the users have up to four more targets, drawn from all items: seen ones, and ones that nobody has had.
    """

    def __init__(self, spark: SparkSession, *, several: bool) -> None:
        self.paths = histories(25)
        chooser = random.Random(4)
        self.targets = {
            user: list(dict.fromkeys([path[-1], *chooser.sample(range(2, V + 2), chooser.randint(0, 4) if several else 0)]))
            for user, path in self.paths.items()
        }
        self.counts = Counter(item for path in self.paths.values() for item in path[:-1])
        items = [(100 + idx, idx, self.counts[idx]) for idx in range(2, V + 2)]
        events = [
            (user, item, None, place, place, "train" if place < len(path) - 1 else "test")
            for user, path in self.paths.items()
            for place, item in enumerate(path)
        ]
        held_out = [(user, path[:-1], sorted(set(path[:-1])), self.targets[user]) for user, path in self.paths.items()]
        self.items: DataFrame = spark.createDataFrame(items, schemas.items(BIGINT))
        self.events: DataFrame = spark.createDataFrame(events, schemas.events(BIGINT)).repartition(5)
        self.held_out: DataFrame = spark.createDataFrame(held_out, schemas.held_out(BIGINT)).repartition(3)

    def pairs(self) -> Counter[tuple[int, int]]:
        trained = [path[:-1] for path in self.paths.values()]
        return Counter(pair for path in trained for pair in itertools.pairwise(path))

    def expected(self, score: Mapping[int, Mapping[int, tuple[int, ...]]]) -> dict[int, tuple[list[int], list[int]]]:
        """Ranks and best list of each user, from the scores of every item."""
        found = {}
        for user, path in self.paths.items():
            targets, scores = self.targets[user], score[user]
            left = [item for item in range(2, V + 2) if item in targets or item not in path[:-1]]
            ranks = [sum(scores[item] >= scores[target] for item in left) for target in targets]
            best = sorted(left, key=lambda item: (tuple(-part for part in scores[item]), item))
            found[user] = ranks, best[:LISTED]
        return found


@pytest.fixture(scope="module", params=[False, True], ids=["one", "several"])
def case(spark: SparkSession, request: pytest.FixtureRequest) -> Case:
    return Case(spark, several=request.param)


def collected(ranked: DataFrame) -> dict[int, tuple[list[int], list[int]]]:
    assert ranked.columns == ["user_id", "targets", "ranks", "items"]
    assert ranked.schema["ranks"].dataType.simpleString() == "array<bigint>"
    return {row["user_id"]: (list(row["ranks"]), list(row["items"])) for row in ranked.collect()}


def test_popularity_ranks_by_training_events(case: Case) -> None:
    by_count = {item: (case.counts[item],) for item in range(2, V + 2)}
    assert collected(popularity(case.held_out, items=case.items)) == case.expected(dict.fromkeys(case.paths, by_count))


def test_markov_ranks_by_what_followed_the_last_item_then_by_popularity(case: Case) -> None:
    pairs = case.pairs()
    scores = {
        user: {item: (pairs[path[-2], item] if len(path) > 1 else 0, case.counts[item]) for item in range(2, V + 2)}
        for user, path in case.paths.items()
    }
    assert max(pairs.values()) > 1
    assert collected(markov(case.held_out, items=case.items, events=case.events)) == case.expected(scores)


def test_the_held_out_events_teach_nothing(spark: SparkSession) -> None:
    case = Case(spark, several=True)
    without = case.events.where("split = 'train'")
    assert collected(markov(case.held_out, items=case.items, events=without)) == collected(
        markov(case.held_out, items=case.items, events=case.events)
    )
