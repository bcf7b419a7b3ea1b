"""A version of recommendations and item embeddings into MongoDB and Milvus; also the way back to an older version."""

from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.command.story import end, module_command
from seqrec.publishing.destinations import destinations_of
from seqrec.publishing.publish import publish
from seqrec.settings.publish import Publish
from seqrec.storage import files, versions
from seqrec.storage.metadata import ListsMeta
from seqrec.stores.open_stores import Addresses, connect
from seqrec.tables import schemas
from seqrec.tables.id_lists import read_ids
from seqrec.tracking.tracked import begin_run


def run(cfg: Publish) -> None:
    """Publish the version, or continue its publication if that didn't end."""
    version = versions.resolve(cfg.output, cfg.version)
    kind = schemas.IDS[ListsMeta.read(version).id_types.user]
    spark = open_session("publish")
    files.require_writable(version.rpartition("/")[0], key="output")
    if not cfg.dry_run:
        begin_run()
    with connect(spark, Addresses.from_settings(cfg.stores)) as stores:
        users = None if cfg.users is None else read_ids(spark, cfg.users, column="user_id", kind=kind)
        destinations = destinations_of(stores, mongo=cfg.mongo, milvus=cfg.milvus)
        publish(spark, destinations, version, limits=cfg.guards, users=users, dry_run=cfg.dry_run)
    if not cfg.dry_run:
        end(made="the publication", then=module_command("seqrec.stores.show"))


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Publish, run, argv)


if __name__ == "__main__":
    main()
