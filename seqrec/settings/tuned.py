"""What a study of each model_name reads beside tune's own keys: its space, its job's template, and what the job's settings name.

files_read("candidates", {"sources.swing.path": "/data/swing"}, {})   by a name for each:
conf/build_candidates.yaml  conf/spaces/candidates.yaml  common_param.sources.swing.path
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from seqrec.command.config import expand, merge_settings, preset_path
from seqrec.command.installation import home
from seqrec.command.lineage import matching
from seqrec.command.template import read_yaml

TunedModel = Literal["sasrec", "bert4rec", "simplex", "lightgbm", "wide_deep", "item_cf", "swing", "candidates"]


@dataclass(frozen=True, kw_only=True)
class TunedModelJob:
    """The job of a model, its preset where common_param has none, and its keys of files beside a dataset or samples."""

    job: str
    preset: str | None = None
    reads: tuple[str, ...] = ()


OF_TRAIN = ("init", "item_vectors.path", "item_vectors.ids", "dpo.path")
JOBS: dict[TunedModel, TunedModelJob] = {
    "sasrec": TunedModelJob(job="train", reads=OF_TRAIN),
    "bert4rec": TunedModelJob(job="train", preset="bert4rec", reads=OF_TRAIN),
    "simplex": TunedModelJob(job="train_two_tower", reads=("init",)),
    "lightgbm": TunedModelJob(job="train_ranker"),
    "wide_deep": TunedModelJob(job="train_ranker"),
    "item_cf": TunedModelJob(job="item_similarity"),
    "swing": TunedModelJob(job="item_similarity"),
    "candidates": TunedModelJob(job="build_candidates", reads=("sources.*.path",)),
}


def files_read(model: TunedModel, common_param: dict[str, Any], hyper_param: dict[str, Any]) -> dict[str, str]:
    """The files and folders that trials are made from, by a name: those of settings, and those that the settings name.

    Values of hyper_param have their number behind the key, as in `hyper_param.init/0`. Raises UserError for an unknown preset,
    a file that is no YAML, and a variable in a path that isn't set.
    """
    tuned, shared = JOBS[model], nested_keys(common_param)
    template = str(home() / "conf" / f"{tuned.job}.yaml")
    found, content = {f"conf/{tuned.job}.yaml": template}, read_yaml(template)
    if preset := shared.get("preset", tuned.preset or content.get("preset")):
        found[f"conf/presets/{preset}"] = path = preset_path(str(preset))
        content = merge_settings(content, read_yaml(path))
    space, file = wanted_space(model, hyper_param)
    if file is not None:
        found[f"conf/spaces/{model}.yaml"] = file
    for pattern in tuned.reads:
        named = matching(merge_settings(content, shared), pattern)
        found |= {f"common_param.{key}": str(expand(value, template, key)) for key, value in named}
    return found | dict(_searched(space, tuned.reads))


def wanted_space(model: TunedModel, hyper_param: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The keys that are searched, nested: those of hyper_param and, where it searches nothing, of conf/spaces/MODEL.yaml.

    The second is that file, None where it isn't read.
    """
    wanted = nested_keys(hyper_param)
    if any(value is not None for _, value in leaves(wanted)):
        return wanted, None
    file = str(home() / "conf" / "spaces" / f"{model}.yaml")
    return merge_settings(nested_keys(read_yaml(file)), wanted), file


def nested_keys(content: dict[str, Any]) -> dict[str, Any]:
    """Settings whose keys may be dotted, as nested ones; what comes later counts, and a range stays a value.

    >>> nested_keys({"encoder.dim": 32, "encoder": {"blocks": 2}, "optimizer": {"lr": {"low": 1, "high": 2}}})
    {'encoder': {'dim': 32, 'blocks': 2}, 'optimizer': {'lr': {'low': 1, 'high': 2}}}
    """
    nested: dict[str, Any] = {}
    for key, value in leaves(content):
        *parents, leaf = key.split(".")
        inner = nested
        for parent in parents:
            if not isinstance(inner.get(parent), dict):
                inner[parent] = {}
            inner = inner[parent]
        inner[leaf] = value
    return nested


def leaves(content: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted keys with what is no further mapping: a range is none, nor is an empty one."""
    flat: list[tuple[str, Any]] = []
    for key, value in content.items():
        inner = isinstance(value, dict) and value and not {"low", "high"} <= value.keys()
        flat += leaves(value, f"{prefix}{key}.") if inner else [(f"{prefix}{key}", value)]
    return flat


def _searched(space: dict[str, Any], patterns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The paths among the values that a space lists for keys of files."""
    for key, values in leaves(space):
        listed = dict(enumerate(values)) if isinstance(values, list) else {}
        for number, value in listed.items():
            if isinstance(value, str) and value and any(_is_of(key, pattern) for pattern in patterns):
                yield f"hyper_param.{key}/{number}", value


def _is_of(key: str, pattern: str) -> bool:
    """Whether a dotted key is of a pattern, in which `*` is any name.

    >>> _is_of("sources.swing.path", "sources.*.path"), _is_of("sources.swing.weight", "sources.*.path")
    (True, False)
    """
    names, wanted = key.split("."), pattern.split(".")
    return len(names) == len(wanted) and all(part in ("*", name) for name, part in zip(names, wanted, strict=True))
