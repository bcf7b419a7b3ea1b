"""A version of recommendations and item embeddings into MongoDB and Milvus; also the way back to an older version."""

from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.publishing.publish import publish
from seqrec.settings.publish import Publish
from seqrec.storage import files, versions
from seqrec.stores.targets import connect
from seqrec.tables import schemas
from seqrec.tables.id_lists import read_ids


def run(cfg: Publish) -> None:
    """Publish the version, or go on with its publication that didn't end."""
    version = versions.resolve(cfg.output, cfg.version)
    output, run_id = version.rsplit("/", 1)
    kind = schemas.IDS[versions.read_meta(version, "output")["id_types"]["user"]]
    spark = open_session("publish")
    files.require_writable(output, key="output")
    uris = {
        "mongodb_uri": cfg.stores.mongodb_uri.get_secret_value(),
        "milvus_uri": cfg.stores.milvus_uri.get_secret_value(),
        "milvus_token": cfg.stores.milvus_token.get_secret_value(),
    }
    with connect(spark, **uris) as targets:
        users = None if cfg.users is None else read_ids(spark, cfg.users, column="user_id", kind=kind)
        publish(
            spark,
            targets,
            output=output,
            run_id=run_id,
            mongo=cfg.mongo,
            milvus=cfg.milvus,
            guards=cfg.guards,
            users=users,
            dry_run=cfg.dry_run,
        )


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Publish, run, argv)


if __name__ == "__main__":
    main()
