"""A Parquet table into a MongoDB collection, a document a row: all columns, and _id, the value of the column --queryid.

The collection is switched to as a whole on a server (mode swap), or upserted and cleared of older documents. MONGODB_URI says
which server: mongodb://host:27017, or embedded.
"""

import argparse

from seqrec.command.config import store_uri
from seqrec.command.entry import command_line, positive
from seqrec.command.session import open_session
from seqrec.publishing.dump import dump_documents, loss_argument, open_origin, origin_arguments
from seqrec.settings.stores import Mongo
from seqrec.stores.address import NONE
from seqrec.stores.targets import connect


def run(given: argparse.Namespace) -> None:
    """Read and check the table, and write it."""
    uri = store_uri("MONGODB_URI")
    spark = open_session("write_mongo", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    table, path = open_origin(spark, given.origin, data=given.data)
    with connect(spark, mongodb_uri=uri, milvus_uri=NONE, milvus_token="") as targets:
        dump_documents(
            table,
            targets.require_mongodb(),
            path=path,
            key=given.queryid,
            database=given.database,
            collection=given.dest,
            mode=given.mode,
            writers=given.writers,
            batch_size=given.batch_size,
            max_loss=given.max_loss,
        )


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    defaults, shape = Mongo(), argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="write_mongo", description=__doc__, formatter_class=shape)
    origin_arguments(parser)
    add, modes = parser.add_argument, ["auto", "swap", "upsert"]
    add("--dest", required=True, metavar="COLLECTION", help="collection, whose documents are replaced")
    add("--queryid", required=True, metavar="COLUMN", help="column of integers or strings, without nulls and repetitions")
    add("--database", default=defaults.database, help="database (default: %(default)s)")
    add("--mode", default=defaults.mode, choices=modes, help="auto: swap, or upsert where a rename isn't safe (default: auto)")
    add("--writers", type=positive, default=defaults.writers, help="tasks at a time (default: %(default)s)")
    add("--batch-size", type=positive, default=defaults.batch_size, help="documents in a write (default: %(default)s)")
    loss_argument(parser)
    given = parser.parse_args(argv)
    with command_line():
        run(given)


if __name__ == "__main__":
    main()
