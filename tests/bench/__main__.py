"""Run the benches and print a table of ratios; `python -m tests.bench [NAME …] [--rounds N]`.

Each compares a part of seqrec with what one would write instead, in turns in one run; a ratio is the seconds of that over ours.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from seqrec.command.session import open_session
from tests.bench import (
    dump,
    explained,
    milvus,
    mongo,
    networks,
    rankers,
    reading,
    scoring,
    sequences,
    similarity,
    tasks,
    towers,
    training,
    two_stage,
)
from tests.bench.timing import Comparison, show

BENCHES: dict[str, Callable[..., Comparison | list[Comparison]]] = {
    "sequences": sequences.bench,
    "training": training.bench,
    "scoring": scoring.bench,
    "two_stage": two_stage.bench,
    "explained": explained.bench,
    "rankers": rankers.bench,
    "networks": networks.bench,
    "towers": towers.bench,
    "mongo": mongo.bench,
    "dump": dump.bench,
    "milvus": milvus.bench,
    "reading": reading.bench,
    "similarity": similarity.bench,
    "tasks": tasks.bench,
}
WHEN_NAMED = {"similarity"}  # half an hour


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; none: all but {', '.join(WHEN_NAMED)}"
    )
    parser.add_argument(
        "--rounds", type=int, default=4, help="rounds after the warm-up, default 4; even, so that each way goes first as often"
    )
    given = parser.parse_args(argv)
    unknown = sorted(set(given.names) - set(BENCHES))
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # it logs the end of a server's JVM as an error
    cores, started = os.cpu_count() or 1, time.monotonic()
    settings = {"master": f"local[{cores}]", "ui.enabled": "false", "ui.showConsoleProgress": "false", "driver.memory": "4g"}
    shuffles = {"spark.sql.shuffle.partitions": str(2 * cores), "spark.sql.execution.arrow.maxRecordsPerBatch": "4096"}
    spark = open_session("bench", **{f"spark.{key}": value for key, value in settings.items()}, **shuffles)
    results: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="seqrec-bench-") as folder:
        for name in given.names or [name for name in BENCHES if name not in WHEN_NAMED]:
            place = Path(folder, name)
            place.mkdir()
            found = BENCHES[name](spark, place, rounds=given.rounds)
            results += found if isinstance(found, list) else [found]
    spark.stop()
    minutes = (time.monotonic() - started) / 60
    sys.stdout.write(f"{show(results)}\n{given.rounds} rounds, {cores} cores, {minutes:.1f} minutes; medians (least–most)\n")


if __name__ == "__main__":
    main()
