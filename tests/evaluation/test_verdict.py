"""The sentence on whether a model is worth using, and the interval that it is drawn from."""

from dataclasses import replace

import numpy as np
import pytest
from pyspark.sql import SparkSession

from seqrec.evaluation.compared import compare_pipelines, show_compared
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.verdict import Comparison, UserGroups, compare, compare_groups, judge
from seqrec.metrics import RankCounts, metric_means, metric_sums
from seqrec.ragged import Ragged


def comparison(low: float, high: float, *, theirs: float = 0.1, changed: int = 500, baseline: str = "popularity") -> Comparison:
    ours = theirs + (low + high) / 2
    return Comparison(
        baseline=baseline, depth=10, users=2000, changed=changed, ours=ours, theirs=theirs, low=low, high=high, p=0.01
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            comparison(0.01, 0.03),
            "m is worth using: its NDCG@10 of 0.1200 is 20 % above that of popularity (0.1000); over 2,000 users ",
        ),
        (comparison(0.01, 0.03), "users the difference lies between 10 % and 30 % (95 % confidence)"),
        (comparison(-0.03, -0.01), "m isn't worth using: its NDCG@10 of 0.0800 is 20 % below that of popularity (0.1000); "),
        (comparison(-0.005, 0.03), "m isn't shown to be better than popularity: "),
        (
            comparison(-0.005, 0.03),
            "between -5.0 % and 30 % (95 % confidence); train longer or on more data, and until then take pop",
        ),
        (
            comparison(0.01, 0.03, changed=29),
            "whether m is worth using can't be told: its NDCG@10 of 0.1200 stands against that of ",
        ),
        (
            comparison(0.01, 0.03, theirs=0.0),
            "is 0.0200 above that of popularity (0.0000); over 2,000 users the difference lies between 0.0100",
        ),
    ],
)
def test_the_sentence_follows_the_interval(found: Comparison, said: str) -> None:
    assert said in judge("m", [found]).sentence


def test_the_better_baseline_decides() -> None:
    both = [comparison(0.01, 0.03), comparison(-0.03, -0.01, theirs=0.2, baseline="markov")]
    assert "m isn't worth using: its NDCG@10 of 0.1800 is 10.0 % below that of markov (0.2000, the" in judge("m", both).sentence


def test_the_interval_is_that_of_paired_differences() -> None:
    """Against the textbook's interval of a mean: the users' differences, their deviation, 1.96 of its error."""
    draw = np.random.default_rng(5)
    ours, theirs = draw.integers(0, 15, 4000), draw.integers(1, 15, 4000)
    gains = [np.array([1 / np.log2(1 + rank) if 0 < rank <= 10 else 0.0 for rank in ranks]) for ranks in (ours, theirs)]
    pairs, users = np.unique(np.stack(gains), axis=1, return_counts=True)
    groups = UserGroups(pairs[0], pairs[1], users, users * (pairs[0] != pairs[1]))
    found = compare_groups(groups, baseline="b", depth=10, seed=3)
    differences = gains[0] - gains[1]
    error = differences.std() / np.sqrt(4000)
    assert found.ours == pytest.approx(gains[0].mean())
    assert found.theirs == pytest.approx(gains[1].mean())
    assert found.changed == (differences != 0).sum()
    assert found.low == pytest.approx(differences.mean() - 1.96 * error, abs=error / 5)
    assert found.high == pytest.approx(differences.mean() + 1.96 * error, abs=error / 5)


def ranked(spark: SparkSession, name: str, ranks: dict[int, list[int]]) -> Ranked:
    return Ranked(name=name, table=spark.createDataFrame(list(ranks.items()), "user_id long, ranks array<long>"))


def test_of_several_targets_the_ndcg_of_each_user_is_compared(spark: SparkSession) -> None:
    """Against the means and the textbook's interval of ndcg@10, computed user by user; some targets are misses."""
    draw = np.random.default_rng(6)
    both = [{user: [int(rank) for rank in draw.permutation(most)[: 1 + user % 4]] for user in range(300)} for most in (20, 40)]
    means = [metric_means(metric_sums(RankCounts.of(Ragged.of(list(ranks.values())))))["ndcg@10"] for ranks in both]
    found = compare(ranked(spark, "m", both[0]), ranked(spark, "b", both[1]), seed=1)
    assert (found.ours, found.theirs) == pytest.approx(means)
    alone = [[metric_sums(RankCounts.of(Ragged.of([ranks])))["ndcg@10"] for ranks in users.values()] for users in both]
    differences = np.array(alone[0]) - np.array(alone[1])
    error = differences.std() / np.sqrt(300)
    assert found.changed == (differences != 0).sum()
    assert found.low == pytest.approx(differences.mean() - 1.96 * error, abs=error / 5)
    assert found.high == pytest.approx(differences.mean() + 1.96 * error, abs=error / 5)


def test_users_are_compared_with_themselves(spark: SparkSession) -> None:
    """Every user is ranked one place better: apart from their pairs, the two methods' ranks look the same."""
    rows = [(user, 1 + user % 10) for user in range(400)]
    ours, theirs = (ranked(spark, name, {user: [rank + more] for user, rank in rows}) for name, more in (("m", 0), ("b", 1)))
    found = compare(ours, theirs, seed=1)
    assert (found.users, found.changed, found.depth, found.baseline) == (400, 400, 10, "b")
    assert found.low > 0
    assert compare(ours, Ranked(name="b", table=theirs.table, listed=5), seed=1).depth == 5


def test_pipelines_are_compared_at_each_depth_once(spark: SparkSession) -> None:
    """A target at rank 15 counts below ten alone; the screen shows the ten. Lists of five are compared to five."""
    tables = (
        spark.createDataFrame([(1, [2], [rank])], "user_id long, targets array<int>, ranks array<long>") for rank in (15, 2)
    )
    first, other = (Ranked(name=name, table=table, listed=100) for name, table in zip(("a", "b"), tables, strict=True))
    rows = compare_pipelines(first, [other], seed=1)["b"]
    assert [(row.measure, row.depth) for row in rows] == [("ndcg", 10), ("recall", 20), ("ndcg", 20)]
    assert [round(row.theirs, 4) for row in rows] == [0.0, 1.0, 0.25]
    assert show_compared("a", {"b": rows}).count("NDCG") == 1
    short = compare_pipelines(replace(first, listed=5), [other], seed=1)["b"]
    assert [(row.measure, row.depth) for row in short] == [("ndcg", 5), ("recall", 5)]
