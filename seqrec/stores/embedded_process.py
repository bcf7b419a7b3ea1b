"""What the processes of both embedded servers have in common: a free port before, an end after."""

import socket
import subprocess

from seqrec.errors import UserError
from seqrec.stores.address import LOOPBACK

WAIT_S = 10.0  # how long a server may take to start or to end, that of a killed process too


def require_free_port(port: int) -> None:
    """Raise UserError if another program listens at a port of loopback; 0 is always free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise UserError(f"port {port} on {LOOPBACK}: {error.strerror}; stop what listens there") from None


def wait_for_end(process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process has ended, and kill it if it doesn't end in time."""
    try:
        process.wait(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
