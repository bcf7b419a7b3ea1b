"""Windows into SimpleX, its items into Milvus, and users' best items by exact search and by search in Milvus."""

import sys
from datetime import UTC, datetime

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.evaluation.milvus_recall import Search, search_lists
from seqrec.evaluation.report import write_metrics
from seqrec.export.export_onnx import export
from seqrec.publishing.deliveries import index_of
from seqrec.publishing.publish import publish
from seqrec.publishing.rehearsal import rehearse_items
from seqrec.scoring.batch_recommend import Scoring, write_recommendations
from seqrec.scoring.udf import ListSettings
from seqrec.settings.publish import Guards
from seqrec.settings.stores import Mongo
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.storage import files, versions
from seqrec.storage.draft import Draft
from seqrec.stores.targets import connect
from seqrec.tables.datasets import open_dataset
from seqrec.training.distributed import train_on_spark
from seqrec.training.plan_simplex import PlanSimpleX
from seqrec.training.processes import leads
from seqrec.training.setup import TrainingSetup, training_setup
from seqrec.training.train import train


def tower_setup(cfg: TrainTwoTower) -> TrainingSetup:
    """What is trained."""
    return training_setup(cfg, PlanSimpleX(cfg.encoder, cfg.loss))


def run(cfg: TrainTwoTower) -> None:
    """Try Milvus, train, export, and make a version of users' lists, once they are whole, the current one."""
    if not leads():
        train(tower_setup(cfg))
        return
    cfg = cfg.model_copy(update={"data": versions.resolve(cfg.data)})
    files.require_writable(cfg.model, key="model")
    draft = Draft.of(cfg.output, settings=public(cfg))
    spark = open_session("train_two_tower", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    uris = {name: uri.get_secret_value() for name, uri in cfg.stores} | {"mongodb_uri": "none"}
    with connect(spark, **uris) as targets:  # what Milvus refuses is said before the training
        if targets.milvus is not None:
            place, index = targets.milvus.place(alias=cfg.milvus.alias), index_of(cfg.milvus)
            rehearse_items(spark, place, dataset=cfg.data, dim=cfg.encoder.dim, index=index)
    on_spark = cfg.distributor == "spark"
    metrics = {"valid": train_on_spark(spark, tower_setup(cfg), processes=cfg.processes) if on_spark else train(tower_setup(cfg))}
    exported, dataset = export(cfg.model, data=cfg.data, keep=cfg.keep), open_dataset(spark, cfg.data)
    lists = ListSettings(top_k=cfg.top_k, filter_seen=cfg.filter_seen)
    scoring = Scoring(history=cfg.history, lists=lists, write=["recommendations", "user_embeddings"])
    write_recommendations(draft, dataset, exported, scoring=scoring, generated_at=datetime.now(UTC))
    with connect(spark, **uris) as targets:
        if targets.milvus is not None:
            publish(spark, targets, output=cfg.output, run_id=draft.run_id, mongo=Mongo(), milvus=cfg.milvus, guards=Guards())
            place = targets.milvus.place(alias=cfg.milvus.alias)
            search = Search(params=cfg.milvus.search_params, users=cfg.milvus.search_users, seed=cfg.seed)
            metrics["milvus"] = search_lists(draft.path, place, dataset=dataset, export=exported, search=search)
    write_metrics(metrics, draft.path)
    versions.write_meta(draft.path, versions.read_meta(draft.path))  # again, with the table that the search wrote
    draft.commit(keep=cfg.keep)
    for name, measured in metrics.items():
        sys.stdout.write(f"{name}: {'  '.join(f'{key} {value:.4g}' for key, value in measured.items())}\n")


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(TrainTwoTower, run, argv)


if __name__ == "__main__":
    main()
