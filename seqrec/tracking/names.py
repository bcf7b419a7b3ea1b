"""Names of metrics and parameters as MLflow takes them: one that it refuses would cost the run all that are given with it."""

import posixpath
import re
from collections.abc import Mapping

REFUSED = re.compile(r"[^/\w.\- ]")  # what MLflow takes in no name
LONGEST_NAME = 250


def tracked_name(name: str) -> str:
    """A metric's or parameter's name as MLflow takes it.

    >>> tracked_name("popularity/ndcg@10"), tracked_name("quotas.new & fresh"), tracked_name("a//b")
    ('popularity/ndcg_at_10', 'quotas.new _ fresh', 'a__b')
    """
    name = REFUSED.sub("_", name.replace("@", "_at_"))[:LONGEST_NAME]
    is_path = name == posixpath.normpath(name) and name[:1] not in ("/", "") and name != "." and not name.startswith("..")
    return name if is_path else name.replace("/", "_").replace("..", "__") or "_"


def parameters_of(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings by names that MLflow takes; of names that become the same, the later ones get a number.

    >>> parameters_of({"quotas.a&b": "1", "quotas.a+b": "2"})
    {'quotas.a_b': '1', 'quotas.a_b 2': '2'}
    """
    parameters: dict[str, str] = {}
    for name, value in settings.items():
        tracked = free = tracked_name(name)
        number = 2
        while free in parameters:
            free, number = f"{tracked[: LONGEST_NAME - 5]} {number}", number + 1
        parameters[free] = value
    return parameters
