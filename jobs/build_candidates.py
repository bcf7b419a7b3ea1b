"""Similar items and users' lists into candidates, merged by reciprocal rank fusion."""

import logging
import time

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.retrieval.build_candidates import write_version
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.storage import files, versions
from seqrec.tables.datasets import open_dataset
from seqrec.tables.histories import select_histories

log = logging.getLogger("seqrec")


def run(cfg: BuildCandidates) -> None:
    """Expand, rank and merge into a new version, and make it current."""
    started, run_id = time.monotonic(), versions.new_run_id()
    spark = open_session("build_candidates")
    files.require_writable(cfg.output, key="output")
    dataset = open_dataset(spark, cfg.data)
    counts = write_version(
        spark,
        files.join(cfg.output, run_id),
        dataset=dataset.path,
        histories=select_histories(dataset, history=cfg.history),
        sources={name: source.model_dump() for name, source in cfg.sources.items() if source is not None},
        facts={"run_id": run_id, "settings": public(cfg)},
        **cfg.model_dump(include={"history", "max_seeds", "top_n", "k"}),
    )
    versions.commit(cfg.output, run_id, keep=cfg.keep)
    log.info("wrote %s into version %s in %.1f s", counts, run_id, time.monotonic() - started)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildCandidates, run, argv)


if __name__ == "__main__":
    main()
