"""The file of the embedded MongoDB, a store of H2 in another JVM: opened, put on disk and closed, its errors on one line."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError

from seqrec.errors import UserError


def opened(gateway: JavaGateway, file: Path, *, wait_s: float) -> object:
    """The H2 store of a file, once the JVM of a process that was killed has let go of it, for which wait_s seconds are given."""
    give_up = time.monotonic() + wait_s
    while True:
        try:
            return gateway.jvm.org.h2.mvstore.MVStore.open(str(file))
        except Py4JError as error:
            if time.monotonic() >= give_up:
                raise UserError(f"{file} can't be opened: {_said(error)}; another program may hold it") from None
            time.sleep(0.2)


def flushing(backend: Any, folder: Path) -> Callable[[], None]:
    """What puts all that a backend was given on disk; UserError with H2's reason if it can't."""

    def flush() -> None:
        try:
            backend.commit()
            backend.getMvStore().sync()
        except Py4JError as error:
            raise UserError(
                f"the embedded MongoDB in {folder} can't write its file: {_said(error)}; what isn't on disk is lost: mend it "
                f"(is the disk full?) and run again"
            ) from error

    return flush


@contextmanager
def closing(*ends: Callable[[], object]) -> Iterator[None]:
    """Call the ends at the end; an error that came before isn't hidden by one of theirs."""
    try:
        yield
    except BaseException:
        for end in ends:
            with suppress(Py4JError, OSError):
                end()
        raise
    try:
        for end in ends:
            end()
    except Py4JError as error:
        raise UserError(f"the embedded MongoDB didn't end as it should: {_said(error)}") from error


def _said(error: Py4JError) -> str:
    """The first line of the innermost cause of a Java error, else of the error itself."""
    cause = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    return str(error if cause is None else cause).strip().partition("\n")[0] or type(error).__name__
