"""A Parquet table of embeddings into Milvus, searched by inner product: the key --queryid, the vector, and its other columns.

A server gets a new collection, to which the alias --dest is switched; on Milvus Lite the rows of one collection are replaced.
MILVUS_URI says which server: http://host:19530 (with MILVUS_TOKEN where one is needed), or embedded.
"""

import argparse

from seqrec.command.entry import command_line, positive, verbosity_arguments
from seqrec.command.session import open_session
from seqrec.publishing.destinations import MilvusDestination
from seqrec.publishing.dump import dump_vectors, open_origin
from seqrec.publishing.dump_options import index_parameter, loss_argument, origin_arguments
from seqrec.settings.stores import Milvus
from seqrec.stores.milvus_index import Index
from seqrec.stores.open_stores import Addresses, connect


def run(options: argparse.Namespace) -> None:
    """Read and check the table, and write it."""
    addresses = Addresses.from_environment("MILVUS_URI")
    spark = open_session("write_milvus", **{"spark.sql.execution.arrow.maxRecordsPerBatch": "4096"})
    origin = open_origin(spark, options.origin, data=options.data)
    with connect(spark, addresses) as stores:
        destination = MilvusDestination(
            server=stores.require_milvus(),
            alias=options.dest,
            index=Index(kind=options.index, params=dict(options.index_params)),
            keep=options.keep,
            writers=options.writers,
        )
        dump_vectors(
            origin,
            destination,
            key=options.queryid,
            embedding=options.embedding,
            dim=options.dim,
            max_loss=options.max_loss,
        )


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    defaults, shape = Milvus(), argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="write_milvus", description=__doc__, formatter_class=shape)
    origin_arguments(parser)
    add = parser.add_argument
    add("--dest", required=True, metavar="ALIAS", help="alias that searches use (on Milvus Lite a collection)")
    add("--queryid", default="item_id", metavar="COLUMN", help="key, a column of integers or strings (default: %(default)s)")
    add("--embedding", default="embedding", metavar="COLUMN", help="column of the vectors (default: %(default)s)")
    add("--dim", type=positive, help="length of each embedding (default: the one that most have)")
    add("--index", default=defaults.index, help="index type, such as HNSW, IVF_FLAT, FLAT (default: %(default)s)")
    add("--index-params", type=index_parameter, nargs="+", default=[], metavar="NAME=NUMBER", help="of the index, e.g. M=16")
    add("--keep", type=positive, default=defaults.keep, help="collections that stay (default: %(default)s)")
    add("--writers", type=positive, default=defaults.writers, help="tasks at a time (default: %(default)s)")
    loss_argument(parser)
    verbosity_arguments(parser)
    options = parser.parse_args(argv)
    with command_line(options):
        run(options)


if __name__ == "__main__":
    main()
