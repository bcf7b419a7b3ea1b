"""Similar items and users' lists into candidates, merged by reciprocal rank fusion."""

import logging
import time

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.retrieval.build_candidates import Fusion, SourceFolder, write_candidates
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.storage.draft import Draft
from seqrec.tables.datasets import open_dataset

log = logging.getLogger("seqrec")


def run(cfg: BuildCandidates) -> None:
    """Expand, rank and merge into a new version, and make it current."""
    started = time.monotonic()
    spark = open_session("build_candidates")
    draft = Draft.of(cfg.output, settings=public(cfg))
    counts = write_candidates(
        draft,
        open_dataset(spark, cfg.data),
        sources=[
            SourceFolder(name=name, kind=source.kind, path=source.path, weight=source.weight)
            for name, source in cfg.sources.items()
            if source is not None
        ],
        history=cfg.history,
        fusion=Fusion(max_seeds=cfg.max_seeds, top_n=cfg.top_n, k=cfg.k),
    )
    draft.commit(keep=cfg.keep)
    log.info("wrote %s into version %s in %.1f s", counts.model_dump(), draft.run_id, time.monotonic() - started)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildCandidates, run, argv)


if __name__ == "__main__":
    main()
