"""Windows into SimpleX, its items into Milvus, and users' best items by exact search and by search in Milvus."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from seqrec.command.entry import run_job
from seqrec.command.screen import listed, show
from seqrec.command.session import open_session
from seqrec.command.story import Next, end, open_draft
from seqrec.evaluation.milvus_recall import Search, search_lists
from seqrec.evaluation.report import write_metrics
from seqrec.export.export_onnx import export
from seqrec.publishing.destinations import Destinations, to_milvus
from seqrec.publishing.publish import publish
from seqrec.publishing.rehearsal import rehearse_items
from seqrec.scoring.batch_recommend import Scoring, write_recommendations
from seqrec.scoring.lists import ListSettings
from seqrec.settings.publish import Guards
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.storage import files, versions
from seqrec.stores.address import NONE
from seqrec.stores.open_stores import Addresses, connect
from seqrec.tables.datasets import open_dataset
from seqrec.training.distributed import train_on_spark
from seqrec.training.plan_simplex import PlanSimpleX
from seqrec.training.processes import leads
from seqrec.training.setup import TrainingSetup, training_setup
from seqrec.training.stages import train_stages
from seqrec.training.train import run_training


def tower_setup(cfg: TrainTwoTower) -> TrainingSetup:
    """The training that the settings describe."""
    return training_setup(cfg, PlanSimpleX(cfg.encoder, cfg.loss))


def run(cfg: TrainTwoTower) -> None:
    """Try Milvus, train, export, write a version of users' lists, and make it current when it is whole."""
    if not leads():
        train_stages(cfg, plan=tower_setup, run=run_training)
        return
    cfg = cfg.model_copy(update={"data": versions.resolve(cfg.data)})
    files.require_writable(cfg.model, key="model")
    draft = open_draft(cfg, cfg.output)
    spark = open_session("train_two_tower", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    addresses = replace(Addresses.from_settings(cfg.stores), mongodb=NONE)
    with connect(spark, addresses) as stores:  # so that what Milvus refuses is an error before the training
        if stores.milvus is not None:
            rehearse_items(spark, to_milvus(stores.milvus, cfg.milvus), dataset=cfg.data, dim=cfg.encoder.dim)
    on_spark = partial(train_on_spark, spark, processes=cfg.processes)
    run_one = on_spark if cfg.distributor == "spark" else run_training
    metrics = {"valid": train_stages(cfg, plan=tower_setup, run=run_one)}
    exported, dataset = export(cfg.model, data=cfg.data, keep=cfg.keep), open_dataset(spark, cfg.data)
    lists = ListSettings(top_k=cfg.top_k, filter_seen=cfg.filter_seen)
    scoring = Scoring(history=cfg.history, lists=lists, write=["recommendations", "user_embeddings"])
    write_recommendations(draft, dataset, exported, scoring=scoring, generated_at=datetime.now(UTC))
    with connect(spark, addresses) as stores:
        if stores.milvus is not None:
            destination = to_milvus(stores.milvus, cfg.milvus)
            publish(spark, Destinations(milvus=destination), draft.path, limits=Guards())
            search = Search(params=cfg.milvus.search_params, users=cfg.milvus.search_users, seed=cfg.seed)
            metrics["milvus"] = search_lists(draft.path, destination.open(), dataset=dataset, export=exported, search=search)
    write_metrics(metrics, draft.path)
    versions.write_meta(draft.path, versions.read_meta(draft.path))  # a second time, with the table that the search wrote
    draft.commit(keep=cfg.keep)
    show("\n".join(f"{name}: {listed(measured)}" for name, measured in metrics.items()))
    made = f"version {draft.run_id} of the lists of {exported.meta.name}"
    end(made=made, path=draft.path, then=Next("build_candidates", ("data",)))


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(TrainTwoTower, run, argv)


if __name__ == "__main__":
    main()
