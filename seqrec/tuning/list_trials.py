"""Trials of similar items and of the merge of candidates: lists of the users of valid, on Spark, one trial after the other.

    item_cf, swing   similar items of the training events -> expanded by a history -> a list a user
    candidates       each source's lists, kept by max_seeds -> merged by weights -> a list a user

Nothing is written: the lists are measured against the held-out items of valid as `evaluate candidates=` does.
"""

import re
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame

from seqrec.command.bars import working_on
from seqrec.command.session import working
from seqrec.dataset.clean import partition_count
from seqrec.error_messages import explain, one_line
from seqrec.errors import UserError
from seqrec.evaluation.candidate_recall import rank_proposed
from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.report import measure
from seqrec.retrieval.activity import Limits
from seqrec.retrieval.build_candidates import SourceFolder, open_source, propose
from seqrec.retrieval.fusion import expand_seeds, fuse, rank_scored, similar_by_index
from seqrec.retrieval.item_similarity import methods, select_events, similar_items
from seqrec.retrieval.swing import Smoothing
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.settings.item_similarity import ItemSimilarity
from seqrec.settings.tune import TrialLists
from seqrec.tables.histories import select_histories
from seqrec.tuning.trial_outcome import Outcome

METRIC = re.compile(r"(ndcg|hit_rate|recall|precision|map|mrr)@([1-9]\d*)")
VALID = "valid"
ENDED = "spark_ended"  # user attribute of a trial during which Spark has ended
NO_SPARK = (
    "Spark has ended during a trial, most often for want of memory, and no other trial can run: give it more, as in "
    "SPARK_DRIVER_MEMORY=8g, and run the same command, which goes on with the study"
)


@dataclass(kw_only=True)
class ListMeasure:
    """The users of valid by whom lists are measured, and the proposals of sources, which trials share."""

    held_out: HeldOut
    lists: TrialLists
    metric: str
    proposals: dict[Hashable, DataFrame] = field(default_factory=dict)  # by all of the settings that they depend on

    def histories(self) -> DataFrame:
        """user_id, items and seen of the users that are measured."""
        users = self.held_out.users.persist().select("user_id")
        return select_histories(self.held_out.dataset, history=VALID, users=users)

    def measured(self, lists: DataFrame, *, top_n: int) -> dict[str, float]:
        """Act: the metrics of lists (user_id, items) of at most top_n items."""
        cutoff = int(self.metric.partition("@")[2])
        if cutoff > top_n:
            raise UserError(f"metric={self.metric} needs lists of {cutoff} items, and these have top_n={top_n}")
        ranked = rank_proposed(self.held_out, lists, name="trial", source={}, top_n=top_n)
        catalogue = self.held_out.dataset.meta.vocabulary.size
        table = ranked.table.persist()  # ranks and exposure are measured one after the other
        try:
            return measure(replace(ranked, table=table), catalogue=catalogue, cutoffs=tuple(sorted({1, 10, 20, 50, 100, cutoff})))
        finally:
            table.unpersist()


@dataclass(kw_only=True)
class ListTrial:
    """A trial on Spark, which runs when it is asked what became of it; `handle` is Optuna's.

    A trial during which Spark ends goes on in the next run of the study, and has failed if Spark ends then, too.
    """

    measure: Callable[[], dict[str, float]]
    metric: str
    handle: Any
    spark_has_ended: Callable[[], bool]
    goes_on: bool = False  # it can't be stopped

    def poll(self) -> Outcome | None:
        """Run it; an error is what it ends with. None if Spark has ended, for the first time in this trial."""
        started = time.monotonic()
        working_on("measuring lists of a trial")
        try:
            metrics = self.measure()
        except Exception as error:
            if self.spark_has_ended() and not self.handle.user_attrs.get(ENDED):
                self.handle.set_user_attr(ENDED, True)
                return None
            said = str(error) if isinstance(error, UserError) else explain(error)
            return Outcome(state="failed", value=None, seconds=time.monotonic() - started, error=one_line(said))
        return Outcome.of_metrics(metrics, metric=self.metric, seconds=time.monotonic() - started)

    def stop(self) -> None:
        """Nothing: it runs within `poll` alone."""


def require_list_metric(metric: str, *, top_n: int | None) -> None:
    """Raise UserError for what is no metric of lists, or one of more items than lists of top_n have (None: that is searched).

    >>> require_list_metric("recall@100", top_n=100)
    """
    found = METRIC.fullmatch(metric)
    if found and top_n is not None and int(found[2]) > top_n:
        raise UserError(f"metric={metric} needs lists of {found[2]} items, and these have top_n={top_n}: change one of them")
    if not found:
        raise UserError(f"metric={metric}: lists have ndcg, hit_rate, recall, precision, map and mrr, as in ndcg@10")


def measure_similar(cfg: ItemSimilarity, lists: ListMeasure) -> dict[str, float]:
    """Act: the metrics of the lists that similar items of the training events give."""
    dataset, spark = lists.held_out.dataset, lists.held_out.dataset.spark
    method = methods(Smoothing(alpha1=cfg.alpha1, alpha2=cfg.alpha2, beta=cfg.beta))[cfg.method]
    limits = Limits(
        min_user_items=cfg.min_user_items,
        max_user_items=cfg.max_user_items,
        max_users_per_item=cfg.users_per_item,
        max_pairs=cfg.max_pairs,
        seed=cfg.seed,
    )
    events, top_n = select_events(dataset, history="train"), lists.lists.top_n
    count = dataset.meta.counts.events["all"]
    partitions = partition_count(count, at_least=spark.sparkContext.defaultParallelism)
    items = similar_items(events, dataset.items, method=method, limits=limits, top_n=cfg.top_n)
    with working(spark, partitions=partitions), items as (similar, _):
        histories = lists.histories()
        scored = expand_seeds(histories, similar_by_index(similar, dataset.items), max_seeds=lists.lists.max_seeds)
        return lists.measured(rank_scored(scored, histories, dataset.items, top_n=top_n), top_n=top_n)


def measure_merged(cfg: BuildCandidates, lists: ListMeasure) -> dict[str, float]:
    """Act: the metrics of the merged lists of a dataset's sources; UserError for a source that isn't of history=valid."""
    histories = lists.histories()
    weights = {name: source.weight for name, source in cfg.sources.items() if source is not None}
    proposed = _proposals(cfg, lists, histories)
    merged = fuse(proposed, histories, weights=weights, k=cfg.k, top_n=cfg.top_n)
    return lists.measured(merged, top_n=cfg.top_n)


def _proposals(cfg: BuildCandidates, lists: ListMeasure, histories: DataFrame) -> DataFrame:
    """The lists of all sources (see schemas.candidate_lists), kept: of sources that differ by their weights alone."""
    folders = {name: source.model_dump(exclude={"weight"}) for name, source in cfg.sources.items() if source is not None}
    key = (cfg.max_seeds, cfg.top_n, *((name, *folder.values()) for name, folder in folders.items()))
    if key not in lists.proposals:
        dataset = lists.held_out.dataset
        opened = [
            open_source(SourceFolder(name=name, **source.model_dump()), dataset, history=VALID)
            for name, source in cfg.sources.items()
            if source is not None
        ]
        each = [propose(source, histories, dataset.items, max_seeds=cfg.max_seeds, top_n=cfg.top_n) for source in opened]
        lists.proposals[key] = reduce(DataFrame.unionByName, each).persist()
    return lists.proposals[key]


LIST_TRIALS: dict[str, Callable[[Any, ListMeasure], dict[str, float]]] = {
    "item_cf": measure_similar,
    "swing": measure_similar,
    "candidates": measure_merged,
}
