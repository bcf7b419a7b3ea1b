"""The meta.json of a version: the run that wrote it, and its tables with their files. It is written after all other files.

A missing key or a wrong value raises a UserError that names the file, the key and the remedy.
"""

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from seqrec.errors import UserError
from seqrec.storage import files, parts
from seqrec.storage.config_file import write_config

META = "meta.json"

Observer = Callable[[str, dict[str, Any]], dict[str, Any]]

# Called with the folder and the content of each meta.json before it is written; what they return is added to it.
observers: list[Observer] = []

EXPECTED = {  # what was expected, by pydantic's names of errors
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
}


class Part(BaseModel):
    """A part of a meta.json: frozen, with exactly these types; other keys are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", protected_namespaces=(), defer_build=True)

    @classmethod
    def of(cls, content: Any, *, path: str, remedy: str) -> Self:
        """Check content that was read from `path`; UserError, with the path and the remedy, if it isn't of this kind."""
        try:
            return cls.model_validate_json(json.dumps(content))
        except ValidationError as error:
            raise UserError(f"{path} {_problem(error)}: {remedy}") from None


class TableRecord(Part):
    """A finished table of a version: its number of rows, and the size in bytes of each of its files by name."""

    rows: int
    files: dict[str, int | None]


class TableRecords(Part):
    """The tables that a meta.json records, by name; none if an older release wrote it."""

    tables: dict[str, TableRecord] = {}

    @classmethod
    def read(cls, path: str) -> Self:
        """The meta.json in a folder; UserError if it is missing, isn't JSON, or isn't of this kind."""
        return cls.of(read_meta(path), path=files.join(path, META), remedy=f"run the job that writes {path} again")


class Meta(TableRecords):
    """What every meta.json says: the run that wrote it, and the tables beside it. The kinds are in `metadata`."""

    run_id: str

    def write(self, path: str) -> None:
        """Write PATH/config.yaml, and PATH/meta.json after all other files of PATH; `tables` is filled from those there."""
        content = self.model_dump()
        if settings := content.get("settings"):
            write_config(path, settings)
        write_meta(path, content)


def write_meta(path: str, meta: dict[str, Any]) -> None:
    """Write PATH/meta.json, after all other files of PATH; rows and files of the tables there, and packages, are added."""
    described = {**meta, "tables": parts.describe_tables(path), "versions": _packages()}
    for observe in observers:
        described |= observe(path, described)
    text = json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False)
    files.write_text(files.join(path, META), text + "\n")


def read_meta(path: str) -> dict[str, Any]:
    """The content of PATH/meta.json, whatever its kind; UserError if it is missing, or isn't an object in JSON."""
    where = files.join(path, META)
    again = f"run the job that writes {path} again"
    try:
        meta = json.loads(files.read_text(where))
    except FileNotFoundError:
        if not files.exists(path):
            raise UserError(f"{path} doesn't exist: {again} (`keep` removes old versions)") from None
        raise UserError(f"{where} is missing: {again}") from None
    except ValueError as error:
        raise UserError(f"{where} is not valid JSON ({error}): {again}") from None
    if not isinstance(meta, dict):
        raise UserError(f"{where} holds {json.dumps(meta):.40}, expected an object with run_id: {again}")
    return meta


def _problem(error: ValidationError) -> str:
    """The first wrong key of a meta.json, and what was expected there."""
    first = error.errors(include_url=False)[0]
    key, value = ".".join(map(str, first["loc"])), first["input"]
    if first["type"] == "missing":
        return f"lacks {key}"
    expected = EXPECTED.get(first["type"], first["msg"].removeprefix("Input should be "))
    return f"has {key} {json.dumps(value, default=str):.40}, expected {expected}"


def _packages() -> dict[str, str]:
    """The versions of seqrec and of the packages that results may depend on, as far as they are installed."""
    installed = {}
    for package in ("seqrec", "pyspark", "torch", "petastorm", "pyarrow", "onnxruntime", "lightgbm"):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
