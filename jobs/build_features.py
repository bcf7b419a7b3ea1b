"""Ratings, users and items into users, item_catalogue, item_features, ranking_samples and matching_samples."""

from typing import Any

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session, working
from seqrec.dataset.build_sequences import ingest
from seqrec.dataset.clean import partition_count
from seqrec.ranking.build_features import describe_ratings, guard_ratings, open_dataset, place_ratings, read_tables
from seqrec.ranking.feature_tables import write_catalogues, write_samples, write_schema
from seqrec.settings.build_features import BuildFeatures
from seqrec.settings.build_sequences import Input
from seqrec.storage import files, versions


def run(cfg: BuildFeatures) -> None:
    """Read and check ratings and tables, write a version of the features, and make it current."""
    spark, run_id = open_session("build_features"), versions.new_run_id()
    path = files.join(cfg.output, run_id)
    files.require_writable(cfg.output, key="output")
    dataset = open_dataset(spark, cfg.data)
    source = cfg.input or Input.model_validate(dataset.meta["settings"]["input"])
    types = {"id_type": dataset.meta["id_types"]["user"], "item_type": dataset.meta["id_types"]["item"]}
    reading = {**source.model_dump(), **types}
    given = ingest(spark, **reading, max_bad_share=cfg.max_bad_share, max_user_events=cfg.max_user_events)
    partitions = cfg.partitions or partition_count(given.profile.usable, at_least=spark.sparkContext.defaultParallelism)
    sides = {key: table.model_dump() for key, table in cfg.side_tables.items()}
    paths = {"users": cfg.users.path, "items": cfg.items.path}
    settings: dict[str, Any] = {"last": cfg.recent_items, "threshold": cfg.label.threshold}
    ranking = cfg.label.model_dump() if "ranking" in cfg.samples else None
    matching = {**cfg.negatives.model_dump(), "seed": cfg.seed} if "matching" in cfg.samples else None
    with working(spark, partitions=partitions):
        tables = read_tables(spark, dataset, sides, genres=cfg.genres.model_dump(), max_bad_share=cfg.max_bad_share)
        placed = place_ratings(given, dataset, partitions=partitions)
        missing = guard_ratings(placed.ratings, tables, paths=paths, max_share=cfg.max_missing_share, ranking=ranking)
        features = describe_ratings(placed, tables, **settings)
        counts = write_catalogues(features, tables, dataset, path, past=cfg.history, **settings)
        counts |= write_samples(features, tables, dataset, path, ranking=ranking, matching=matching)
    write_schema(tables, path, last=cfg.recent_items)
    facts = {
        "run_id": run_id,
        "dataset": dataset.meta["run_id"],
        "id_types": dataset.meta["id_types"],
        "history": cfg.history,
        "settings": public(cfg),
        "inputs": {"ratings": source.path, **paths},
        "counts": {**counts, "ratings": placed.rows, "missing": missing},
    }
    versions.write_meta(path, facts)
    versions.commit(cfg.output, run_id, keep=cfg.keep)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildFeatures, run, argv)


if __name__ == "__main__":
    main()
