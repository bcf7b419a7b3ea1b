"""Configurations: a YAML template, presets and key=value overrides into a frozen, strict model."""

import difflib
import os
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from seqrec import files
from seqrec.errors import UserError

VARIABLE = re.compile(r"\$\{(\w+)\}")
ESCAPES = {r"\t": "\t", r"\n": "\n", r"\0": "\0"}
STORE_CHOICES = {
    "MONGODB_URI": "mongodb://host:27017, embedded or none",
    "MILVUS_URI": "http://host:19530, embedded or none",
}


class Strict(BaseModel):
    """A frozen model in which an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Stores(Strict):
    """Where to publish; from the environment alone, so that no secret stands in a file or a command line."""

    mongodb_uri: SecretStr
    milvus_uri: SecretStr
    milvus_token: SecretStr = SecretStr("")


S = TypeVar("S", bound=Strict)


def load_config(settings: type[S], path: str, overrides: list[str]) -> S:
    """The job's configuration: template < preset < key=value, typed and checked.

    Raises UserError, naming the key, the file and the remedy, for an unknown key, a wrong type, a variable that is unset
    or empty, a missing file, or a store's variable that the job needs and the environment lacks.
    """
    given = parse_overrides(overrides)
    content = _read_yaml(path)
    preset = given.get("preset", content.get("preset"))
    if preset is not None and "preset" in settings.model_fields:
        content = _merge(content, _read_yaml(preset_path(str(preset))))
    content = _expand(_merge(content, given), path)
    if "stores" in settings.model_fields:
        if "stores" in content:
            raise UserError(f"{path}: stores are set by MONGODB_URI and MILVUS_URI in the environment, not by the key `stores`")
        content["stores"] = _stores()
    try:
        return settings.model_validate(content)
    except ValidationError as error:
        raise UserError(_explain(error, settings, path, given)) from None


def parse_overrides(overrides: list[str]) -> dict[str, Any]:
    r"""Dotted key=value pairs as a nested dict of raw strings, None and lists.

    >>> parse_overrides(["input.delimiter=::", "k_core.users=5", "min_rating=null", "write=[a, b]", r"input.quote=\t"])
    {'input': {'delimiter': '::', 'quote': '\t'}, 'k_core': {'users': '5'}, 'min_rating': None, 'write': ['a', 'b']}
    """
    nested: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise UserError(f"`{override}` is not key=value; an override looks like k_core.users=5")
        *parents, leaf = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UserError(f"`{override}`: {parent} has a value already, so it can't have keys below it")
        place[leaf] = _raw(value)
    return nested


def preset_path(preset: str) -> str:
    """The file of a preset: a path to a YAML file, or a name in conf/presets."""
    if preset.endswith((".yaml", ".yml")):
        return preset
    folder = Path(os.environ.get("SEQREC_HOME", Path(__file__).parents[1])) / "conf" / "presets"
    path = folder / f"{preset}.yaml"
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in folder.glob("*.yaml"))) or "none"
        raise UserError(f"preset={preset}: no such file {path}; presets are: {known}")
    return str(path)


def store_uri(variable: str) -> str:
    """The value of MONGODB_URI or MILVUS_URI; UserError if it is unset or empty."""
    value = os.environ.get(variable, "")
    if not value:
        raise UserError(f"{variable} is unset or empty: `export {variable}=…` with {STORE_CHOICES[variable]}")
    return value


def public(settings: BaseModel) -> dict[str, Any]:
    """The configuration for logs and meta.json: secrets are masked."""
    shown: dict[str, Any] = settings.model_dump(mode="json")
    return shown


def describe(settings: type[BaseModel], prefix: str = "") -> list[str]:
    """A line for each key: its name, type, default and description, for --help."""
    lines = []
    for name, field in settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Stores):
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            lines += describe(kind, f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else _shown(field.default)
        lines.append(f"  {prefix}{name} = {default}   {field.description or ''}".rstrip())
    return lines


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list | tuple) else repr(value)


def _raw(value: str) -> Any:
    if value == "null":
        return None
    if value.startswith("[") and value.endswith("]"):
        inner = value[1:-1].strip()
        return [_raw(part.strip()) for part in inner.split(",")] if inner else []
    return ESCAPES.get(value, value)


def _read_yaml(path: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(files.read_text(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such configuration file; the templates lie in conf/") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected `key: value` lines")
    return content


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _expand(value: Any, path: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _expand(inner, path, f"{key}.{name}".lstrip(".")) for name, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, path, key) for inner in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if not os.environ.get(name):
            raise UserError(f"{path}: key {key} needs ${{{name}}}, which is unset or empty: `export {name}=…` first")
        return os.environ[name]

    return VARIABLE.sub(variable, value)


def _stores() -> dict[str, str]:
    found = {name.lower(): store_uri(name) for name in STORE_CHOICES}
    return {**found, "milvus_token": os.environ.get("MILVUS_TOKEN", "")}


def _explain(error: ValidationError, settings: type[BaseModel], path: str, overrides: dict[str, Any]) -> str:
    known = [line.split()[0] for line in describe(settings)]
    said: dict[str, list[str]] = {path: [], "the command line": []}
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        place = said["the command line" if _holds(overrides, problem["loc"]) else path]
        if problem["type"] == "extra_forbidden":
            leaves = {name.rsplit(".", 1)[-1]: name for name in known}
            close = difflib.get_close_matches(key, known, n=1)
            close = close or [leaves[leaf] for leaf in difflib.get_close_matches(key.rsplit(".", 1)[-1], leaves, n=1)]
            hint = f"; did you mean {close[0]}?" if close else "; --help lists the keys"
            place.append(f"unknown key {key}{hint}")
        elif problem["type"] == "missing":
            place.append(f"key {key} is missing: set it in the file or pass {key}=…")
        else:
            shown = "" if isinstance(problem["input"], dict) else f"{key}={problem['input']!r}: "
            place.append(f"{shown}{problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(f"{place}: {'; '.join(dict.fromkeys(problems))}" for place, problems in said.items() if problems)


def _holds(nested: Any, location: tuple[int | str, ...]) -> bool:
    """Whether a nested dict has the place; a wrong value inside a list belongs to the list."""
    for part in location:
        if not isinstance(nested, dict):
            return True
        if part not in nested:
            return False
        nested = nested[part]
    return bool(location)
