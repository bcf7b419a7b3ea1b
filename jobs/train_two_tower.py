"""Windows into SimpleX, or features into two towers; items into Milvus, and users' best items by exact and by Milvus search."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from pyspark.sql import SparkSession

from seqrec.command.entry import run_job
from seqrec.command.screen import counted, listed, show
from seqrec.command.session import open_session
from seqrec.command.story import Next, changed_settings, end, open_draft
from seqrec.evaluation.milvus_recall import Hidden, Search, search_lists
from seqrec.evaluation.report import write_metrics
from seqrec.export.export_onnx import export
from seqrec.publishing.destinations import Destinations, to_milvus
from seqrec.publishing.publish import publish
from seqrec.publishing.rehearsal import rehearse_items
from seqrec.scoring.available import withheld_items
from seqrec.scoring.batch_recommend import Scoring, write_recommendations
from seqrec.scoring.lists import ListSettings
from seqrec.scoring.tower_lists import TowerScoring, read_past, write_tower_lists
from seqrec.settings.publish import Guards
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.storage import files, versions
from seqrec.storage.draft import Draft
from seqrec.stores.address import NONE
from seqrec.stores.open_stores import Addresses, connect
from seqrec.tables.datasets import open_dataset
from seqrec.tables.histories import select_histories
from seqrec.towers.matching_inputs import ITEMS, PAST, USERS
from seqrec.towers.tower_export import export_towers
from seqrec.towers.tower_setup import plan_towers
from seqrec.towers.tower_training import train_towers
from seqrec.tracking.tracked import add_metrics
from seqrec.training.distributed import run_on_spark, train_on_spark
from seqrec.training.plan_simplex import PlanSimpleX
from seqrec.training.processes import leads
from seqrec.training.setup import TrainingSetup, training_setup
from seqrec.training.stages import train_stages
from seqrec.training.train import run_training

log = logging.getLogger("seqrec")

UNREAD = {  # what belongs to the other towers
    "histories": ("features",),
    "features": (
        *("encoder.max_len", "encoder.dropout", "encoder.user_weight", "loss", "optimizer", "batch_size", "pool_batches"),
        *("max_epochs", "patience", "validate_every", "checkpoint_every"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class MadeLists:
    """A version of users' lists that is written: the name of its model, how well it was validated, what was left out."""

    name: str
    valid: dict[str, float]
    hidden: Hidden


Maker = Callable[[TrainTwoTower, SparkSession, Draft], MadeLists]


def run(cfg: TrainTwoTower) -> None:
    """Try Milvus, train, export, write a version of users' lists, and make it current when it is whole."""
    if not leads():
        SHARES[cfg.towers](cfg)
        return
    cfg = cfg.model_copy(update={"data": versions.resolve(cfg.data)})
    files.require_writable(cfg.model, key="model")
    draft = open_draft(cfg, cfg.output, trains=True)
    if unread := [key for key in changed_settings() if any(f"{key}.".startswith(f"{name}.") for name in UNREAD[cfg.towers])]:
        log.warning("towers=%s doesn't read %s: see towers in docs/keys.md", cfg.towers, ", ".join(unread))
    spark = open_session("train_two_tower", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    addresses = replace(Addresses.from_settings(cfg.stores), mongodb=NONE)
    with connect(spark, addresses) as stores:  # so that what Milvus refuses is an error before the training
        if stores.milvus is not None:
            rehearse_items(spark, to_milvus(stores.milvus, cfg.milvus), tables=item_tables(cfg), dim=cfg.encoder.dim)
    made = MAKERS[cfg.towers](cfg, spark, draft)
    metrics = {"valid": made.valid}
    with connect(spark, addresses) as stores:
        if stores.milvus is not None:
            destination, dataset = to_milvus(stores.milvus, cfg.milvus), open_dataset(spark, cfg.data)
            publish(spark, Destinations(milvus=destination), draft.path, limits=Guards())
            search = Search(params=cfg.milvus.search_params, users=cfg.milvus.search_users, seed=cfg.seed)
            alias = destination.open()
            metrics["milvus"] = search_lists(draft.path, alias, dataset=dataset, hidden=made.hidden, search=search)
    write_metrics(metrics, draft.path)
    add_metrics(metrics)
    versions.write_meta(draft.path, versions.read_meta(draft.path))  # a second time, with the table that the search wrote
    draft.commit(keep=cfg.keep)
    show("\n".join(f"{name}: {listed(measured)}" for name, measured in metrics.items()))
    end(made=f"version {draft.run_id} of the lists of {made.name}", path=draft.path, then=Next("build_candidates", ("data",)))


def item_tables(cfg: TrainTwoTower) -> list[str]:
    """The tables with the items that get vectors."""
    items = [files.join(cfg.data, "items")]
    if cfg.towers == "features" and cfg.features.new_items:
        items.append(files.join(versions.resolve(str(cfg.features.path)), ITEMS))
    return items


def tower_setup(cfg: TrainTwoTower) -> TrainingSetup:
    """The training of SimpleX that the settings describe."""
    return training_setup(cfg, PlanSimpleX(cfg.encoder, cfg.loss))


def lists_of_histories(cfg: TrainTwoTower, spark: SparkSession, draft: Draft) -> MadeLists:
    """Train SimpleX, export it, and write users' lists by their histories."""
    on_spark = partial(train_on_spark, spark, processes=cfg.processes)
    run_one = on_spark if cfg.distributor == "spark" else run_training
    valid = train_stages(cfg, plan=tower_setup, run=run_one).metrics
    exported, dataset = export(cfg.model, data=cfg.data, keep=cfg.keep), open_dataset(spark, cfg.data)
    lists = ListSettings(top_k=cfg.top_k, filter_seen=cfg.filter_seen)
    scoring = Scoring(history=cfg.history, lists=lists, write=["recommendations", "user_embeddings"])
    write_recommendations(draft, dataset, exported, scoring=scoring, generated_at=datetime.now(UTC))
    hidden = Hidden(
        seen=select_histories(dataset, history=cfg.history).select("user_id", "seen"), everywhere=withheld_items(spark, exported)
    )
    return MadeLists(name=exported.meta.name, valid=valid, hidden=hidden)


def lists_of_features(cfg: TrainTwoTower, spark: SparkSession, draft: Draft) -> MadeLists:
    """Train towers over features, export them, and write users' lists by their features."""
    setup = plan_towers(cfg)
    survey = setup.survey
    log.info(
        "%s, %s; columns of users: %s; of items: %s",
        counted(survey.positives, "positive"),
        counted(survey.negatives, "negative"),
        ", ".join(survey.users.names),
        ", ".join(survey.items.names),
    )
    training = partial(train_towers, setup)
    on_spark = partial(run_on_spark, spark, training, processes=cfg.processes, folder=setup.folder)
    trained = on_spark() if cfg.distributor == "spark" else training()
    exported, dataset = export_towers(setup, keep=cfg.keep), open_dataset(spark, cfg.data)
    seen = read_past(dataset, exported.path, setup.inputs.table(PAST))
    scoring = TowerScoring(
        export=exported.path,
        meta=exported.meta,
        users=setup.inputs.table(USERS),
        hidden=seen,
        history=cfg.history,
        lists=ListSettings(top_k=cfg.top_k, filter_seen=cfg.filter_seen),
    )
    write_tower_lists(draft, dataset, scoring, generated_at=datetime.now(UTC))
    hidden = Hidden(seen=seen, everywhere=exported.withheld)
    return MadeLists(name=exported.meta.name, valid=trained.metrics, hidden=hidden)


MAKERS: dict[str, Maker] = {"histories": lists_of_histories, "features": lists_of_features}
SHARES: dict[str, Callable[[TrainTwoTower], object]] = {  # of the processes of torchrun that don't lead
    "histories": partial(train_stages, plan=tower_setup, run=run_training),
    "features": lambda _: train_towers(None),
}


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(TrainTwoTower, run, argv)


if __name__ == "__main__":
    main()
