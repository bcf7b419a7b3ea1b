"""The options that the dumps' command lines have in common."""

import argparse

MAX_LOSS = 0.1


def origin_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --origin and --data to a command line."""
    parser.add_argument(
        "--origin", required=True, metavar="TABLE", help="a Parquet table's path, or (without a slash) its name in --data"
    )
    parser.add_argument(
        "--data", metavar="FOLDER", help="dataset or output with that table, or a version of it (default: $SEQREC_ROOT/dataset)"
    )


def index_parameter(text: str) -> tuple[str, int]:
    """NAME=NUMBER, for argparse."""
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER, such as M=16")
    return name, int(number)


def loss_argument(parser: argparse.ArgumentParser) -> None:
    """Add --max-loss to a command line."""
    parser.add_argument(
        "--max-loss",
        type=_share,
        default=MAX_LOSS,
        metavar="SHARE",
        help="share of what the collection holds that may be missing in the table (default: %(default)s)",
    )


def _share(text: str) -> float:
    """A number from 0 to 1, for argparse."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1")
    return share
