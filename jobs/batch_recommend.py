"""Sequences and a model into recommendations, then into MongoDB and Milvus."""

import logging
import time
from contextlib import nullcontext
from datetime import UTC, datetime

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.publishing.publish import publish
from seqrec.publishing.rehearsal import rehearse
from seqrec.scoring.batch_recommend import read_users, write_version
from seqrec.serving import exports
from seqrec.settings.batch_recommend import BatchRecommend
from seqrec.storage import files, versions
from seqrec.stores.targets import connect

log = logging.getLogger("seqrec")


def run(cfg: BatchRecommend) -> None:
    """Try the stores, score into a new version, make it current, and publish it."""
    started, run_id = time.monotonic(), versions.new_run_id()
    spark = open_session("batch_recommend", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    files.require_writable(cfg.output, key="output")
    dataset = versions.resolve(cfg.data)
    model = exports.locate(cfg.model)
    users = read_users(spark, dataset, cfg.users)
    secrets = {name: uri.get_secret_value() for name, uri in cfg.stores}
    with connect(spark, **secrets) if cfg.publish else nullcontext() as targets:
        if targets is not None:
            rehearse(
                spark,
                targets,
                model=model,
                mongo=cfg.mongo,
                milvus=cfg.milvus,
                top_k=cfg.top_k,
                whole=users is None,
            )
        counts = write_version(
            spark,
            files.join(cfg.output, run_id),
            dataset=dataset,
            model=model,
            users=users,
            generated_at=datetime.now(UTC),
            facts={"run_id": run_id, "users": cfg.users, "settings": public(cfg)},
            batch_users=cfg.batch_size,
            **cfg.model_dump(include={"history", "filter_seen", "allow", "deny", "top_k", "write", "block_items"}),
        )
        versions.commit(cfg.output, run_id, keep=cfg.keep)
        log.info("scored %s into version %s in %.1f s", counts, run_id, time.monotonic() - started)
        if targets is not None:
            publish(
                spark,
                targets,
                output=cfg.output,
                run_id=run_id,
                mongo=cfg.mongo,
                milvus=cfg.milvus,
                guards=cfg.guards,
                users=users,
            )
            log.info("version %s is done, %.1f s in all", run_id, time.monotonic() - started)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BatchRecommend, run, argv)


if __name__ == "__main__":
    main()
