"""Environment variables that are checked before anything starts."""

import importlib.util
import os
import re
import sys

from seqrec.command.installation import set_up
from seqrec.errors import UserError

VARIABLE = re.compile(r"\$\{(\w+)\}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LOG_LEVELS = ("ALL", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF")
MEMORY = re.compile(r"([1-9]\d*)([kmgt])", re.IGNORECASE)
LEAST_MIB = 512  # with less Spark doesn't start
MIB = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024 * 1024}
PACKAGES = ("pyspark", "pydantic", "yaml", "pyarrow")
STORE_CHOICES = {
    "MONGODB_URI": "mongodb://host:27017, embedded or none",
    "MILVUS_URI": "http://host:19530, embedded or none",
}


def variable(name: str, needed_by: str) -> str:
    """The value of a variable; `needed_by` tells the error what needs it.

    Raises UserError if it is unset, empty or blank, has a blank or a line end at its start or end, a control character, or
    bytes that are not UTF-8: a folder of such a name is a mistake, and is hard to find again.
    """
    value = os.environ.get(name, "")
    if not value:
        raise UserError(f"{name} is unset or empty, and {needed_by} needs it: `export {name}=…` first")
    check_text(name, value)
    return value


def check_text(name: str, value: str, *, secret: bool = False) -> None:
    """Raise UserError, naming the variable and, if it isn't secret, the value, for one that `variable` refuses."""
    shown = name if secret else f"{name}={value!r}"
    if not value.strip():
        raise UserError(f"{name} is blank: `export {name}=…` with a value, or unset it")
    if value != value.strip():
        raise UserError(f"{shown} begins or ends with a blank: export it without")
    if CONTROL.search(value):
        raise UserError(f"{shown} holds a line end or another control character: export it without")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UserError(f"{shown} holds bytes that are not UTF-8: use a name in UTF-8") from None


def check_settings() -> None:
    """Raise UserError for an invalid SEQREC_LOG_LEVEL, SPARK_DRIVER_MEMORY, MONGODB_URI or MILVUS_URI."""
    level = os.environ.get("SEQREC_LOG_LEVEL", "")
    if level and level.upper() not in LOG_LEVELS:
        raise UserError(f"SEQREC_LOG_LEVEL={level} is no level: use one of {', '.join(LOG_LEVELS)}, or unset it")
    memory = os.environ.get("SPARK_DRIVER_MEMORY", "")
    size = MEMORY.fullmatch(memory)
    if memory and (size is None or int(size[1]) * MIB[size[2].lower()] < LEAST_MIB):
        raise UserError(f"SPARK_DRIVER_MEMORY={memory}: use a size from {LEAST_MIB}m on, such as 4g, or unset it")
    for name in STORE_CHOICES:
        if os.environ.get(name):
            check_text(name, os.environ[name], secret=True)


def check_python() -> None:
    """Raise UserError if this Python lacks a package that every job needs."""
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        remedy = f"run {set_up(extras='train')} first, or set PYSPARK_PYTHON to the Python that has them"
        raise UserError(f"{sys.executable} has no {', '.join(missing)}: {remedy}")


def needed_variables(template: str) -> list[str]:
    """Names in the ${…} of a template outside of its comments, sorted.

    >>> needed_variables("# ${NOT_THIS}\\ndata: ${ROOT}/data # nor ${THIS}\\nurl: a#${B}")
    ['B', 'ROOT']
    """
    lines = (re.split(r"(?:^|\s)#", line)[0] for line in template.splitlines())
    return sorted({name for line in lines for name in VARIABLE.findall(line)})
