"""Ratings into a dataset: items, events, sequences, windows, valid, test and stats.json."""

from typing import Any

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session, working
from seqrec.dataset.build_sequences import encode, ingest, settle, write_tables
from seqrec.dataset.clean import partition_count
from seqrec.dataset.splits import guard_cuts, parse_cuts, splitter
from seqrec.dataset.stats import count_events, guard_windows, summarise, warn_held_out, write_stats
from seqrec.dataset.vocabulary import read_parent
from seqrec.settings.build_sequences import BuildSequences
from seqrec.storage import files, versions


def run(cfg: BuildSequences) -> None:
    """Read and check the ratings, write a version of the dataset, and make it current."""
    cuts = parse_cuts(cfg.split_times) if cfg.split_times else None
    split = splitter(task=cfg.task, cuts=cuts, share=cfg.split_users, seed=cfg.seed)
    first_cut, collapse = cuts[0] if cuts else None, cfg.drop_consecutive_duplicates
    windows: dict[str, Any] = {"max_len": cfg.max_len, "stride": cfg.window_stride}
    spark, run_id = open_session("build_sequences"), versions.new_run_id()
    path = files.join(cfg.data, run_id)
    files.require_writable(cfg.data, key="data")
    parent = read_parent(spark, cfg.vocabulary, id_type=cfg.input.id_type)
    source = {**cfg.input.model_dump(), "item_type": parent and parent.id_type}
    ratings = ingest(spark, **source, max_bad_share=cfg.max_bad_share, max_user_events=cfg.max_user_events)
    found = ratings.profile
    partitions = cfg.partitions or partition_count(found.usable, at_least=spark.sparkContext.defaultParallelism)
    with working(spark, partitions=partitions):
        histories, rated = settle(
            ratings, partitions=partitions, min_rating=cfg.min_rating, collapse=collapse, max_share=cfg.max_duplicate_share
        )
        if cuts:
            guard_cuts(cuts, first=rated["first"], last=rated["last"])
        least = {"min_users": cfg.k_core.users, "min_items": cfg.k_core.items}
        encoded = encode(histories, parent=parent, **least, split=split, first_cut=first_cut, collapse=collapse)
        counted = count_events(encoded.arranged, **windows)
        guard_windows(counted, task=cfg.task)
        warn_held_out(counted, task=cfg.task, split_times=cfg.split_times, split_users=cfg.split_users)
        filing = {"rows_per_file": cfg.rows_per_file, "multiple": cfg.files_multiple, "seed": cfg.seed}
        write_tables(encoded, path, types=found.types, max_history=cfg.max_history, **windows, **filing)
    stats = summarise(found, rated, counted, items=encoded.vocabulary["size"], trained=encoded.trained)
    write_stats(stats, path)
    facts = {
        "run_id": run_id,
        "id_types": {"user": found.types.user, "item": found.types.item},
        "vocabulary": encoded.vocabulary,
        "task": cfg.task,
        "max_len": cfg.max_len,
        "settings": public(cfg),
        "inputs": {"ratings": cfg.input.path, "vocabulary": parent and parent.run_id},
        "counts": {"windows": stats["windows"], **{name: stats[name] for name in ("events", "users", "items")}},
    }
    versions.write_meta(path, facts)
    versions.commit(cfg.data, run_id, keep=cfg.keep)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildSequences, run, argv)


if __name__ == "__main__":
    main()
