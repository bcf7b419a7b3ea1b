"""The embedded MongoDB: mongo-java-server on a file of H2, or in memory, in a JVM of its own.

Nothing else uses that JVM, because the server's netty isn't Spark's (https://github.com/bwaldvogel/mongo-java-server). It ends
with the process that started it. Errors of Java become one line.
"""

import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from py4j.protocol import Py4JError

from seqrec.command.java import require_java
from seqrec.errors import UserError
from seqrec.stores import jars
from seqrec.stores.address import LOOPBACK
from seqrec.stores.embedded_process import WAIT_S, require_free_port, wait_for_end

JAVA_ANSWER_S = 120.0


@dataclass(frozen=True, kw_only=True)
class EmbeddedMongo:
    """A running server. `renames` says whether it keeps renamed collections; `flush` writes all that it holds to the disk."""

    uri: str
    renames: bool
    flush: Callable[[], None]


@contextmanager
def mongo_server(folder: Path | None, *, port: int = 0) -> Iterator[EmbeddedMongo]:
    """Serve MongoDB on loopback, from a file in the folder, or from memory for None; port 0 takes a free one."""
    require_free_port(port)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # py4j logs a trace of all that it raises, and a JVM's end as an error
    with ExitStack() as stack:
        gateway = stack.enter_context(_java())
        mongo = gateway.jvm.de.bwaldvogel.mongo
        if folder is None:
            backend, flush = mongo.backend.memory.MemoryBackend(), _no_file
        else:
            folder.mkdir(parents=True, exist_ok=True)
            backend = mongo.backend.h2.H2Backend(_open_h2(gateway, folder / "mongo.mv.db"))
            flush = _flush_of(backend, folder)
        server = mongo.MongoServer(backend)
        server.bind(LOOPBACK, port)
        stack.enter_context(_called_at_the_end(server.shutdownNow, backend.close))
        yield EmbeddedMongo(uri=server.getConnectionString(), renames=folder is None, flush=flush)


@contextmanager
def _java() -> Iterator[JavaGateway]:
    """A JVM with the server's jars. It ends when its input is closed: after the block, or when this process ends."""
    spark_jars = Path(jars.spark_home(), "jars")
    java_port, token, process = launch_gateway(
        jarpath=str(next(spark_jars.glob("py4j*.jar"))),
        classpath=jars.class_path(),
        javaopts=["-Xmx1g", "-XX:+UseSerialGC"],
        java_path=str(require_java() / "bin" / "java"),
        die_on_exit=True,
        create_new_process_group=True,
        enable_auth=True,
        return_proc=True,
    )
    parameters = GatewayParameters(port=java_port, auth_token=token, auto_convert=True, read_timeout=JAVA_ANSWER_S)
    gateway = JavaGateway(gateway_parameters=parameters)
    try:
        yield gateway
    finally:
        _end_java(gateway, process)


def _end_java(gateway: JavaGateway, process: "subprocess.Popen[bytes]") -> None:
    """End the JVM."""
    gateway.close()
    assert process.stdin is not None
    process.stdin.close()
    wait_for_end(process)


def _open_h2(gateway: JavaGateway, file: Path) -> object:
    """The H2 store of a file. The JVM of a killed process may hold it for up to WAIT_S; UserError if it is held longer."""
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            return gateway.jvm.org.h2.mvstore.MVStore.open(str(file))
        except Py4JError as error:
            if time.monotonic() >= give_up:
                raise UserError(f"{file} can't be opened: {_reason(error)}; another program may hold it") from None
            time.sleep(0.2)


def _flush_of(backend: Any, folder: Path) -> Callable[[], None]:
    """The call that writes all that a backend holds to the disk; it raises UserError, with H2's reason, if it can't."""

    def flush() -> None:
        """Commit, and sync the file."""
        try:
            backend.commit()
            backend.getMvStore().sync()
        except Py4JError as error:
            raise UserError(
                f"the embedded MongoDB in {folder} can't write its file: {_reason(error)}; what isn't on disk is lost: mend it "
                f"(is the disk full?) and run again"
            ) from error

    return flush


def _no_file() -> None:
    """The flush of a server that holds all in memory."""


@contextmanager
def _called_at_the_end(*calls: Callable[[], object]) -> Iterator[None]:
    """Make the calls when the block is left. Their errors become UserErrors, and never hide an error from within the block."""
    try:
        yield
    except BaseException:
        for call in calls:
            with suppress(Py4JError, OSError):
                call()
        raise
    try:
        for call in calls:
            call()
    except Py4JError as error:
        raise UserError(f"the embedded MongoDB didn't end as it should: {_reason(error)}") from error


def _reason(error: Py4JError) -> str:
    """The first line of the innermost cause of a Java error, else of the error itself."""
    cause = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    return str(error if cause is None else cause).strip().partition("\n")[0] or type(error).__name__
