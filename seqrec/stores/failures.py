"""What went wrong with a store, on one line and without secrets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from seqrec.errors import UserError
from seqrec.stores.address import scrubbed

CAUSE = re.compile(r"^\s*((?:pymongo|bson|pymilvus|grpc|seqrec)[\w.]*\.\w+: .+)$", re.MULTILINE)
LONGEST = 300


@contextmanager
def explained(what: str, *kinds: type[Exception], secrets: tuple[str, ...]) -> Iterator[None]:
    """Turn a store library's errors, also those of Spark's tasks, into UserErrors; others pass."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        causes = CAUSE.findall(str(error))
        if not causes:
            raise
        raise UserError(_line(what, causes[-1].partition(": ")[2], secrets)) from error
    except kinds as error:
        raise UserError(_line(what, str(error), secrets)) from error


def _line(what: str, said: str, secrets: tuple[str, ...]) -> str:
    said = scrubbed(said, *secrets).partition(", Topology Description")[0].partition(", full error")[0]
    return f"{what}: {said[:LONGEST]}; what stood before still stands, so mend it and run again"
