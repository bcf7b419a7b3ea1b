"""Sequences and a model into recommendations, then into MongoDB and Milvus."""

import logging
import time
from contextlib import nullcontext
from datetime import UTC, datetime

from seqrec.command.entry import run_job
from seqrec.command.screen import counted, duration, listed
from seqrec.command.session import open_session
from seqrec.command.story import Next, end, module_command, open_draft
from seqrec.publishing.destinations import destinations_of
from seqrec.publishing.publish import publish
from seqrec.publishing.rehearsal import ListLengths, rehearse
from seqrec.scoring.batch_recommend import Scoring, write_recommendations
from seqrec.scoring.lists import ListSettings
from seqrec.scoring.segments import SegmentFile
from seqrec.scoring.two_stage import SecondStageFolders
from seqrec.serving.explanations import Explanation
from seqrec.serving.exports import locate
from seqrec.serving.topk import BlockSizes
from seqrec.settings.batch_recommend import BatchRecommend
from seqrec.stores.open_stores import Addresses, connect
from seqrec.tables.datasets import open_dataset
from seqrec.tables.histories import read_subset

log = logging.getLogger("seqrec")


def run(cfg: BatchRecommend) -> None:
    """Try the stores, score into a new version, make it current, and publish it."""
    started = time.monotonic()
    spark = open_session("batch_recommend", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    draft = open_draft(cfg, cfg.output)
    dataset, export = open_dataset(spark, cfg.data), locate(cfg.model)
    subset = read_subset(dataset, cfg.users)
    with connect(spark, Addresses.from_settings(cfg.stores)) if cfg.publish else nullcontext() as stores:
        destinations = None if stores is None else destinations_of(stores, mongo=cfg.mongo, milvus=cfg.milvus)
        if destinations is not None:
            rehearse(spark, destinations, export=export, lengths=_lengths(cfg), whole=subset is None)
        counts = write_recommendations(
            draft, dataset, export, scoring=_scoring(cfg), generated_at=datetime.now(UTC), subset=subset
        )
        draft.commit(keep=cfg.keep)
        log.info("scored: %s, in %s", listed(counts), duration(time.monotonic() - started))
        if destinations is not None:
            publish(spark, destinations, draft.path, limits=cfg.guards, users=subset.users if subset else None)
    made = f"version {draft.run_id} of the lists of {counted(counts.get('users', counts.get('user_embeddings', 0)), 'user')}"
    end(made=made, path=draft.path, then=_next(cfg, draft.run_id, whole=subset is None))


def _next(cfg: BatchRecommend, run_id: str, *, whole: bool) -> Next | str:
    """What comes next: a look at what was published, a measure of held-out items, or the publication of this version."""
    if cfg.publish:
        return module_command("seqrec.stores.show", "--data", cfg.data)
    if cfg.history != "full":
        return Next(
            "evaluate",
            ("data",),
            ("model=null", f"split={cfg.history}", f"table={cfg.output if whole else f'{cfg.output}/{run_id}'}"),
        )
    return Next("publish", ("output",), () if whole else (f"version={run_id}",))


def _lengths(cfg: BatchRecommend) -> ListLengths:
    """How long a user's lists may be, and what each item carries."""
    return ListLengths(
        items=cfg.top_k, next_items=cfg.horizon or 0, reasons=cfg.explain or 0, reranked=cfg.rerank.rules() is not None
    )


def _scoring(cfg: BatchRecommend) -> Scoring:
    """The settings of the lists."""
    return Scoring(
        history=cfg.history,
        lists=ListSettings(top_k=cfg.top_k, filter_seen=cfg.filter_seen, horizon=cfg.horizon, explanation=_explanation(cfg)),
        write=cfg.write,
        allow=cfg.allow,
        deny=cfg.deny,
        exclude=cfg.exclude,
        second_stage=_second_stage(cfg),
        rules=cfg.rerank.rules(),
        segments=_segments(cfg),
        sizes=BlockSizes(users=cfg.batch_size, items=cfg.block_items),
    )


def _explanation(cfg: BatchRecommend) -> Explanation | None:
    """How items are explained; None if they aren't."""
    return None if cfg.explain is None else Explanation(most=cfg.explain, by=cfg.explain_by)


def _second_stage(cfg: BatchRecommend) -> SecondStageFolders | None:
    """The folders of the second stage; None without a ranker."""
    if cfg.ranker is None or cfg.candidates is None or cfg.features is None:
        return None
    return SecondStageFolders(ranker=cfg.ranker, candidates=cfg.candidates, features=cfg.features)


def _segments(cfg: BatchRecommend) -> SegmentFile | None:
    """The file of users' segments; None without one."""
    if cfg.popular_by is None or cfg.user_table is None:
        return None
    return SegmentFile(path=cfg.user_table, column=cfg.popular_by, key=cfg.user_key)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BatchRecommend, run, argv)


if __name__ == "__main__":
    main()
