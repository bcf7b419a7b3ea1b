"""A Parquet table into a MongoDB collection, a document for each row: all columns, and _id, the value of the column --queryid.

The collection is replaced as a whole by a swap, or its documents are upserted and older ones removed (--mode). MONGODB_URI says
which server: mongodb://host:27017, or embedded.
"""

import argparse

from seqrec.command.entry import command_line, positive, verbosity_arguments
from seqrec.command.session import open_session
from seqrec.publishing.destinations import MongoDestination
from seqrec.publishing.dump import dump_documents, open_origin
from seqrec.publishing.dump_options import loss_argument, origin_arguments
from seqrec.settings.stores import Mongo
from seqrec.stores.mongo_rows import Batching
from seqrec.stores.open_stores import Addresses, connect


def run(options: argparse.Namespace) -> None:
    """Read and check the table, and write it."""
    addresses = Addresses.from_environment("MONGODB_URI")
    spark = open_session("write_mongo", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    origin = open_origin(spark, options.origin, data=options.data)
    with connect(spark, addresses) as stores:
        destination = MongoDestination(
            server=stores.require_mongodb(),
            database=options.database,
            collection=options.dest,
            mode=options.mode,
            batching=Batching(writers=options.writers, batch_size=options.batch_size),
        )
        dump_documents(origin, destination, key=options.queryid, max_loss=options.max_loss)


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
    verbosity_arguments(parser)
    options = parser.parse_args(argv)
    with command_line(options):
        run(options)


if __name__ == "__main__":
    main()
