"""Training events into pairs of preferences, for `train objective=preferences`."""

import logging
import shlex

from seqrec.command.entry import run_job
from seqrec.command.installation import program
from seqrec.command.screen import counted, listed
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft
from seqrec.dataset.windows import Filing
from seqrec.scoring.build_preferences import PairSettings, write_preferences
from seqrec.scoring.preference_pairs import source_quotas
from seqrec.serving.exports import locate
from seqrec.settings.build_preferences import BuildPreferences
from seqrec.tables.datasets import open_dataset

log = logging.getLogger("seqrec")


def run(cfg: BuildPreferences) -> None:
    """Draw the pairs into a new version, and make it current."""
    spark = open_session("build_preferences", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    draft = open_draft(cfg, cfg.output)
    counts = write_preferences(
        draft,
        open_dataset(spark, cfg.data),
        settings=PairSettings(
            quotas=source_quotas(cfg.shares.model_dump(), pairs=cfg.pairs_per_user),
            top=cfg.top,
            seed=cfg.seed,
            filing=Filing(rows_per_file=cfg.rows_per_file, multiple=cfg.files_multiple),
        ),
        export=locate(cfg.model) if cfg.model is not None and cfg.needs_model else None,
        vectors=cfg.vectors,
    )
    draft.commit(keep=cfg.keep)
    log.info("pairs: %s", listed(counts))
    made = f"preferences {draft.run_id}: {counted(counts['pairs'], 'pair')} of {counted(counts['users'], 'user')}"
    end(made=made, path=draft.path, then=next_training(cfg))


def next_training(cfg: BuildPreferences) -> str:
    """The command that learns the pairs, into a folder beside that of the model which it begins from.

    The rate is far below that of a training from drawn weights, which would undo what the model has learned.
    """
    begun = cfg.model or "MODEL"
    keys = [f"data={cfg.data}", f"dpo.path={cfg.output}", f"init={begun}", f"model={begun.rstrip('/')}_preferring"]
    return shlex.join([*program().split(), "train", "objective=preferences", *keys, "optimizer.lr=1e-4", "encoder.dropout=0"])


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildPreferences, run, argv)


if __name__ == "__main__":
    main()
