"""Similar items and users' lists into candidates, merged by reciprocal rank fusion."""

import logging
import shlex

from seqrec.command.entry import run_job
from seqrec.command.installation import program
from seqrec.command.screen import counted, listed
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft
from seqrec.retrieval.build_candidates import Fusion, SourceFolder, write_candidates
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.tables.datasets import open_dataset

log = logging.getLogger("seqrec")


def run(cfg: BuildCandidates) -> None:
    """Expand, rank and merge into a new version, and make it current."""
    spark = open_session("build_candidates")
    draft = open_draft(cfg, cfg.output)
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
    log.info("users with a list of each source: %s", listed(counts.sources))
    made = f"candidates {draft.run_id} of {counted(counts.users, 'user')}, {counts.empty:,} of them without any"
    end(made=made, path=draft.path, then=f"{program()} evaluate model=null {shlex.quote(f'candidates={cfg.output}')}")


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildCandidates, run, argv)


if __name__ == "__main__":
    main()
