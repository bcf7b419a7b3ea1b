"""Environment variables, set for a while."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def set_variable(variable: str, value: str | None) -> Iterator[None]:
    """In the `with` block, an environment variable has this value; None leaves it as it is."""
    before = os.environ.get(variable)
    if value is not None:
        os.environ[variable] = value
    try:
        yield
    finally:
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before
