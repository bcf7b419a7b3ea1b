"""Candidates and features into samples for train_ranker."""

import logging
import shlex

from seqrec.command.entry import run_job
from seqrec.command.installation import program
from seqrec.command.screen import counted, listed
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft
from seqrec.ranking.build_ranker_samples import UserSplit, write_ranker_samples
from seqrec.serving.second_stage_inputs import open_inputs
from seqrec.settings.build_ranker_samples import BuildRankerSamples
from seqrec.tables.datasets import open_dataset

log = logging.getLogger("seqrec")


def run(cfg: BuildRankerSamples) -> None:
    """Join and label into a new version, and make it current."""
    spark = open_session("build_ranker_samples", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    draft = open_draft(cfg, cfg.output)
    inputs = open_inputs(cfg.candidates, cfg.features)
    split = UserSplit(valid_share=cfg.valid_share, seed=cfg.seed)
    counts = write_ranker_samples(draft, open_dataset(spark, cfg.data), inputs, split=split)
    draft.commit(keep=cfg.keep)
    log.info("samples: %s", listed(counts.model_dump()))
    users = counted(counts.train_users + counts.valid_users, "user")
    made = f"ranker samples {draft.run_id}: {counted(counts.rows, 'candidate')} of {users}, {counts.positives:,} of them positive"
    end(made=made, path=draft.path, then=f"{program()} train_ranker {shlex.quote(f'samples={cfg.output}')}")


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildRankerSamples, run, argv)


if __name__ == "__main__":
    main()
