"""Windows into SimpleX, its items into Milvus, and users' best items by exact search and by search in Milvus."""

import sys
from datetime import UTC, datetime
from typing import Any

from seqrec.command.config import public
from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.evaluation import evaluate as evaluation
from seqrec.evaluation.milvus_recall import search_version
from seqrec.export.export_onnx import export
from seqrec.publishing.deliveries import index_of
from seqrec.publishing.publish import publish
from seqrec.publishing.rehearsal import rehearse_items
from seqrec.scoring.batch_recommend import write_version
from seqrec.serving import exports
from seqrec.settings.publish import Guards
from seqrec.settings.stores import Mongo
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.storage import files, versions
from seqrec.stores.targets import connect
from seqrec.training.distributed import train_on_spark
from seqrec.training.processes import leads
from seqrec.training.train import train


def run(cfg: TrainTwoTower) -> None:
    """Try Milvus, train, export, and make a version of users' lists, once they are whole, the current one."""
    if not leads():
        train(cfg)
        return
    cfg, run_id = cfg.model_copy(update={"data": versions.resolve(cfg.data)}), versions.new_run_id()
    for key, folder in (("model", cfg.model), ("output", cfg.output)):
        files.require_writable(folder, key=key)
    spark = open_session("train_two_tower", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    uris = {name: uri.get_secret_value() for name, uri in cfg.stores} | {"mongodb_uri": "none"}
    with connect(spark, **uris) as targets:  # what Milvus refuses is said before the training
        if targets.milvus is not None:
            place, index = targets.milvus.place(alias=cfg.milvus.alias), index_of(cfg.milvus)
            rehearse_items(spark, place, dataset=cfg.data, dim=cfg.encoder.dim, index=index)
    metrics = {"valid": train_on_spark(spark, cfg) if cfg.distributor == "spark" else train(cfg)}
    exported = files.join(cfg.model, exports.FOLDER, export(cfg.model, data=cfg.data, keep=cfg.keep)["export"])
    path = files.join(cfg.output, run_id)
    facts = {"run_id": run_id, "users": None, "settings": public(cfg)}
    lists = {"write": ["recommendations", "user_embeddings"], **cfg.model_dump(include={"history", "filter_seen", "top_k"})}
    write_version(spark, path, dataset=cfg.data, model=exported, generated_at=datetime.now(UTC), facts=facts, **lists)
    with connect(spark, **uris) as targets:
        if targets.milvus is not None:
            publish(spark, targets, output=cfg.output, run_id=run_id, mongo=Mongo(), milvus=cfg.milvus, guards=Guards())
            place = targets.milvus.place(alias=cfg.milvus.alias)
            asked: dict[str, Any] = {"users": cfg.milvus.search_users, "params": cfg.milvus.search_params, "seed": cfg.seed}
            metrics["milvus"] = search_version(spark, path, place, dataset=cfg.data, model=exported, **asked)
    evaluation.write_metrics(metrics, path)
    versions.write_meta(path, versions.read_meta(path))  # again, with the table that the search wrote
    versions.commit(cfg.output, run_id, keep=cfg.keep)
    for name, found in metrics.items():
        sys.stdout.write(f"{name}: {'  '.join(f'{key} {value:.4g}' for key, value in found.items())}\n")


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(TrainTwoTower, run, argv)


if __name__ == "__main__":
    main()
