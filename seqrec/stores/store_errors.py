"""Errors of a store on one line, without secrets, and with the state that the store is in afterwards."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from seqrec.errors import UserError
from seqrec.stores.address import scrubbed

CAUSE = re.compile(
    r"^\s*((?:(?:pymongo|bson|pymilvus|grpc|seqrec)[\w.]*\.\w+|FileNotFoundError|PermissionError|ssl\.\w+): .+)$", re.MULTILINE
)
REMOTE = re.compile(r'status = StatusCode\.(\w+) details = "(.*?)"')
DEAD_WORKER = "Python worker exited unexpectedly"
LONGEST = 300

# What an error may say of the store: which of its rows readers see now.
UNCHANGED = "nothing was changed, and what stood before still stands: mend it and run again"
MIXED = "some of it may be new and some old until the same is run again: mend it and run again"
EITHER = "either the old or the new stands, whole: mend it and run again"
NOT_CLEARED = "the new stands, and what is older may not be removed yet: mend it and run again"


@contextmanager
def as_user_errors(what: str, *kinds: type[Exception], secrets: tuple[str, ...], state: str = UNCHANGED) -> Iterator[None]:
    """Turn errors of these kinds, and those of Spark's tasks that stem from a store, into UserErrors; others pass.

    `what` says which store and what failed, `state` what is true of the store now and what to do.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        causes = CAUSE.findall(text)
        if causes:
            raise UserError(_line(what, causes[-1].partition(": ")[2], secrets, state)) from error
        if DEAD_WORKER in text:
            death = "a Python worker of Spark died, killed or out of memory"
            raise UserError(_line(what, death, secrets, state)) from error
        raise
    except kinds as error:
        raise UserError(_line(what, str(error), secrets, state)) from error


def _line(what: str, message: str, secrets: tuple[str, ...], state: str) -> str:
    """The one line: what failed, the library's message without its details, and the state of the store."""
    message = scrubbed(message, *secrets).partition(", Topology Description")[0].partition(", full error")[0]
    remote = REMOTE.search(message)
    if remote:
        message = f"{remote[1]}: {remote[2]}" if remote[2] else remote[1]
    return f"{what}: {message[:LONGEST]}; {state}"
