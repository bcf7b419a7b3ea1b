"""The meta.json of a version: what made it, and which tables with which files it holds. It is written last of all."""

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from seqrec.errors import UserError
from seqrec.storage import files, parts

META = "meta.json"

TYPES = {str: "a string", int: "a whole number", bool: "true or false", list: "an array", dict: "an object"}
RUN: dict[str, type] = {"run_id": str}
IDS: dict[str, type] = {**RUN, "id_types.user": str, "id_types.item": str}
LISTS: dict[str, type] = {**RUN, "dataset": str, "history": str, "filter_seen": bool}
DATASET: dict[str, type] = {**IDS, "vocabulary.size": int}
KEYS: dict[str, dict[str, type]] = {  # what readers of each kind of version take from it
    "dataset": DATASET,
    "dataset to train on": {**DATASET, "vocabulary.hash": str, "vocabulary.lineage": list, "task": str},
    "dataset with counts": {**DATASET, "counts.events.all": int},
    "output": IDS,
    "recommendations": {**LISTS, "model": str, "model_run_id": str, "top_k": int},
    "candidates": {**IDS, **LISTS, "sources": dict, "top_n": int},
    "source": RUN,
    "export": {**IDS, "files": dict, "name": str, "dataset": str, "max_len": int, "vocab_size": int}
    | {"vocabulary.hash": str, "vocabulary.size": int, "vocabulary.lineage": list},
}


def write_meta(path: str, meta: dict[str, Any]) -> None:
    """Write PATH/meta.json, last of all: with the tables in PATH, their rows and files, and the packages that made them."""
    described = {**meta, "tables": parts.describe_tables(path), "versions": _packages()}
    text = json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False)
    files.write_text(files.join(path, META), text + "\n")


def read_meta(path: str, kind: str | None = None) -> dict[str, Any]:
    """Read PATH/meta.json; UserError if it is missing or odd, or lacks what readers of its kind (see KEYS) take from it."""
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
        raise UserError(
            f"{where} holds {json.dumps(meta):.40}, expected an object with {', '.join(KEYS[kind or 'source'])}: {again}"
        )
    tables = {f"tables.{table}.files": dict for table in meta["tables"]} if isinstance(meta.get("tables"), dict) else {}
    for name, wanted in {**(KEYS[kind] if kind else {}), **({"tables": dict} if "tables" in meta else {}), **tables}.items():
        value: Any = meta
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, wanted):
            problem = f"lacks {name}" if value is None else f"has {name} {json.dumps(value):.40}"
            raise UserError(f"{where} {problem}, expected {TYPES[wanted]}: {again}")
    return meta


def _packages() -> dict[str, str]:
    """The versions of seqrec and of the packages that results may depend on, as far as they are installed."""
    installed = {}
    for package in ("seqrec", "pyspark", "torch", "petastorm", "pyarrow", "onnxruntime"):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
