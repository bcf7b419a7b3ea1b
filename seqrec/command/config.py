"""Configurations: a YAML template, presets and key=value overrides into a frozen, strict model."""

import os
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from seqrec.command.environment import STORE_CHOICES, VARIABLE, check_text, variable
from seqrec.command.installation import home
from seqrec.command.overrides import parse_overrides
from seqrec.command.settings_errors import explain_settings
from seqrec.command.template import read_yaml, refuse_emptied
from seqrec.errors import UserError


class Strict(BaseModel):
    """A frozen model in which an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    def reads(self) -> tuple[str, ...]:
        """Of a job's settings, the keys of what it reads: `data`, `sources.*.path`, `model/exports`, a folder in a key's.

        A `?` at its end is of what may be absent.
        """
        return ()

    def reads_besides(self) -> dict[str, str]:
        """Of a job's settings, files and folders that it reads and that no key of its own names, by a name for each."""
        return {}

    def leaves(self) -> str | None:
        """Of the settings of a job without a version, the file or folder that it makes; None for one that leaves nothing here."""
        return None

    def writes(self) -> str | None:
        """Of a job's settings, the key of the folder that gets its version, as in `reads`; None for a job without one."""
        return None

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number belongs: pydantic would read them as 1 and 0."""
        kinds = kinds_in(cls.model_fields[str(info.field_name)].annotation)
        if not kinds & {bool, Any} and not any(issubclass(kind, BaseModel) for kind in kinds) and _has(value, _is_boolean):
            raise ValueError("true and false are no value of it")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _no_number_beyond_64_bits(cls, value: Any) -> Any:
        """Spark, Parquet and the stores hold whole numbers of 64 bits."""
        if _has(value, _is_huge):
            raise ValueError("numbers are at most 2^63 - 1")
        return value


class Stores(Strict):
    """Where to publish; from the environment alone, so that no secret stands in a file or a command line."""

    mongodb_uri: SecretStr
    milvus_uri: SecretStr
    milvus_token: SecretStr = SecretStr("")


class Frame(Strict):
    """Keys of every job that don't change what it makes: they stand neither in its settings nor in a meta.json."""

    track: Literal["none", "mlflow"] | None = Field(
        None, description="mlflow: the job is a run of MLflow; null: where MLFLOW_TRACKING_URI is set, see docs/tracking.md"
    )
    experiment: str | None = Field(
        None, min_length=1, description="MLflow's experiment; null: MLFLOW_EXPERIMENT_NAME, else seqrec"
    )


S = TypeVar("S", bound=Strict)


def load_config(settings: type[S], path: str, overrides: list[str]) -> S:
    """The job's configuration: template < preset < key=value, typed and checked.

    Raises UserError, naming the key, the file and the remedy, for an unknown key, a wrong type, a variable that is unset
    or empty, a missing file, or a store's variable that the job needs and the environment lacks.
    """
    return load_job(settings, path, overrides)[0]


def load_job(settings: type[S], path: str, overrides: list[str]) -> tuple[S, Frame]:
    """As `load_config`, with the keys that every job has."""
    return _fill(settings, path, parse_overrides(overrides), said_by="the command line")


def fill_settings(settings: type[S], path: str, above: dict[str, Any], *, said_by: str) -> S:
    """The settings of a file, below the preset that is chosen, below nested values that `said_by` names in errors.

    Raises UserError as `load_config` does.
    """
    return _fill(settings, path, above, said_by=said_by)[0]


def _fill(settings: type[S], path: str, above: dict[str, Any], *, said_by: str) -> tuple[S, Frame]:
    """The settings as `fill_settings` has them, and the keys that every job has."""
    content = read_yaml(path)
    template = home() / "conf" / f"{settings.__module__.rsplit('.', 1)[-1]}.yaml"
    if template.exists():
        refuse_emptied(content, read_yaml(str(template)), path=path, above=above)
    preset = above.get("preset", content.get("preset"))
    if preset is not None and "preset" in settings.model_fields:
        content = merge_settings(content, read_yaml(preset_path(str(preset))))
    content = expand(merge_settings(content, above), path)
    if "stores" in settings.model_fields:
        if "stores" in content:
            raise UserError(f"{path}: stores are set by MONGODB_URI and MILVUS_URI in the environment, not by the key `stores`")
        content["stores"] = _stores()
    frame = {key: content.pop(key) for key in Frame.model_fields.keys() - settings.model_fields.keys() if key in content}
    try:
        return settings.model_validate(content), Frame.model_validate(frame)
    except ValidationError as error:
        keys = [line.split()[0] for line in describe_keys(settings) + describe_keys(Frame)]
        raise UserError(explain_settings(error, keys, path=path, said_by=said_by, above=flatten(above))) from None


def preset_path(preset: str) -> str:
    """The file of a preset: a path to a YAML file, or a name in conf/presets."""
    if preset.endswith((".yaml", ".yml")):
        return preset
    folder = home() / "conf" / "presets"
    path = folder / f"{preset}.yaml"
    if not path.exists():
        presets = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise UserError(f"preset={preset}: no such file {path}; presets are: {presets}")
    return str(path)


def store_uri(name: str) -> str:
    """The value of MONGODB_URI or MILVUS_URI; UserError if it is unset, empty or blank."""
    value = os.environ.get(name, "")
    if not value:
        raise UserError(f"{name} is unset or empty: `export {name}=…` with {STORE_CHOICES[name]}")
    check_text(name, value, secret=True)
    return value


def public(settings: BaseModel) -> dict[str, Any]:
    """The configuration for logs and meta.json: secrets are masked."""
    shown: dict[str, Any] = settings.model_dump(mode="json")
    return shown


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings with dotted keys; an empty mapping is a value.

    >>> flatten({"seed": 1, "loss": {"name": "ce"}, "joined": {}})
    {'seed': 1, 'loss.name': 'ce', 'joined': {}}
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


def describe_keys(settings: type[BaseModel], prefix: str = "") -> list[str]:
    """A line for each key: its name, type, default and description, for --help."""
    lines = []
    for name, field in settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Stores):
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            lines += describe_keys(kind, f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else _shown(field.default)
        lines.append(f"  {prefix}{name} = {default}   {field.description or ''}".rstrip())
    return lines


def _shown(value: Any) -> str:
    """A default for --help, as an override would be written."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list | tuple) else repr(value)


def merge_settings(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """A nested dict, with its values replaced by those of another."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge_settings(merged[key], value) if both else value
    return merged


def expand(value: Any, path: str, key: str = "") -> Any:
    """A value with the ${VARIABLES} in it filled in; errors name the key and the file."""
    if isinstance(value, dict):
        return {name: expand(inner, path, f"{key}.{name}".lstrip(".")) for name, inner in value.items()}
    if isinstance(value, list):
        return [expand(inner, path, key) for inner in value]
    if not isinstance(value, str):
        return value
    return VARIABLE.sub(lambda match: variable(match[1], f"key {key} of {path}"), value)


def _stores() -> dict[str, str]:
    """The stores' addresses and the token, from the environment."""
    return {**{name.lower(): store_uri(name) for name in STORE_CHOICES}, "milvus_token": os.environ.get("MILVUS_TOKEN", "")}


def kinds_in(annotation: Any) -> set[type]:
    """All classes in an annotation, those of its unions, lists and dicts too."""
    inner = [kind for argument in get_args(annotation) for kind in kinds_in(argument)]
    return {*inner, *([annotation] if isinstance(annotation, type) else [])}


def _has(value: Any, wanted: Callable[[Any], bool]) -> bool:
    """Whether `wanted` is true for a value, or for any value inside its lists and dicts."""
    if isinstance(value, list | tuple | dict):
        return any(_has(inner, wanted) for inner in (value.values() if isinstance(value, dict) else value))
    return wanted(value)


def _is_boolean(value: Any) -> bool:
    """Whether a value is true or false."""
    return isinstance(value, bool)


def _is_huge(value: Any) -> bool:
    """Whether a value is a whole number that 64 bits do not hold."""
    return isinstance(value, int) and not -(2**63) <= value < 2**63
