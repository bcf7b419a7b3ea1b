"""The line that a scheduler runs: from any folder, and with an environment that has no more than what may be secret."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

PUBLIC = (
    "SEQREC_HOME",
    "SEQREC_ROOT",
    "SEQREC_LOG_LEVEL",
    "JAVA_HOME",
    "SPARK_HOME",
    "SPARK_CONF_DIR",
    "HADOOP_CONF_DIR",
    "YARN_CONF_DIR",
    "SPARK_LOCAL_DIRS",
    "SPARK_DRIVER_MEMORY",
    "SPARK_SUBMIT_OPTS",
    "PYSPARK_PYTHON",
    "PYSPARK_DRIVER_PYTHON",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "MLFLOW_EXPERIMENT_NAME",
    "TMPDIR",
    "LC_ALL",
)
SECRET = (
    *("MONGODB_URI", "MILVUS_URI", "MILVUS_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("MLFLOW_TRACKING_URI", "MLFLOW_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    "OPENAI_API_KEY",
)
PLAIN = re.compile(r"[A-Za-z0-9_./:=@%+,-]+")


def printed_line(code: Path, command: Iterable[str]) -> str:
    """The line of a command that runs a copy of the code; it touches the copy's `used`."""
    # a scheduler keeps stderr; cron has no locale
    defaults = {"SEQREC_LOG_LEVEL": "ERROR", "LC_ALL": os.environ.get("LANG") or "C.UTF-8"}
    values = {name: os.environ.get(name) or defaults.get(name, "") for name in PUBLIC}
    variables = [f"{name}={_word(value)}" for name, value in values.items() if value]
    words = " ".join(["env", *variables, *map(_word, command)])
    return f"cd {_word(str(Path.cwd()))} && (touch -c {_word(str(code / 'used'))} || true) && {words}"


def secret_variables() -> list[str]:
    """The variables that are set here and not in the line, because they may hold secrets."""
    return [name for name in SECRET if os.environ.get(name)]


def _word(text: str) -> str:
    r"""A word as a shell reads it.

    >>> print(_word("top_k=5"), _word("it's"))
    top_k=5 'it'\''s'
    """
    return text if PLAIN.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"
