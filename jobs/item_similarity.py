"""A dataset's events into similar items, by ItemCF or Swing."""

import logging
import time

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session, working
from seqrec.dataset.clean import partition_count
from seqrec.retrieval.item_similarity import guard_method, write_version
from seqrec.settings.item_similarity import ItemSimilarity
from seqrec.storage import files, versions

log = logging.getLogger("seqrec")


def run(cfg: ItemSimilarity) -> None:
    """Compute the lists into a new version, and make it current."""
    started, run_id = time.monotonic(), versions.new_run_id()
    spark = open_session("item_similarity")
    files.require_writable(cfg.output, key="output")
    dataset = versions.resolve(cfg.data)
    guard_method(cfg.output, cfg.method)
    events = versions.read_meta(dataset, "dataset with counts")["counts"]["events"]["all"]
    with working(spark, partitions=partition_count(events, at_least=spark.sparkContext.defaultParallelism)):
        counts = write_version(
            spark,
            files.join(cfg.output, run_id),
            dataset=dataset,
            facts={"run_id": run_id, "settings": public(cfg)},
            **cfg.model_dump(exclude={"data", "output", "keep"}),
        )
    versions.commit(cfg.output, run_id, keep=cfg.keep)
    log.info("wrote %s into version %s in %.1f s", counts, run_id, time.monotonic() - started)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(ItemSimilarity, run, argv)


if __name__ == "__main__":
    main()
