"""What all kinds of meta.json have in common: how one is read, checked and written. `metadata` has the kinds."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.storage.meta import META, read_meta, write_meta

EXPECTED = {  # of pydantic's kinds of errors: what was expected
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "an array",
    "tuple_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "missing": "a value",
}


class Part(BaseModel):
    """A part of a meta.json: frozen, of exactly these types, and with room for more keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", protected_namespaces=())


class Table(Part):
    """A finished table of a version: its rows, and the bytes of each of its files by name."""

    rows: int
    files: dict[str, int]


class Meta(Part):
    """What every meta.json says: the run that wrote it, and the tables beside it."""

    run_id: str
    tables: dict[str, Table] = {}

    @classmethod
    def read(cls, path: str) -> Self:
        """The meta.json in a folder; UserError if it is missing, isn't JSON, or isn't of this kind."""
        return cls.of(read_meta(path), path=files.join(path, META), remedy=f"run the job that writes {path} again")

    @classmethod
    def of(cls, content: Any, *, path: str, remedy: str) -> Self:
        """Content that was read from a path; UserError, which names both path and remedy, if it isn't of this kind."""
        try:
            return cls.model_validate_json(json.dumps(content))
        except ValidationError as error:
            raise UserError(f"{path} {_problem(error)}: {remedy}") from None

    def write(self, path: str) -> None:
        """Write PATH/meta.json, last of all that is written there; `tables` becomes what lies in PATH."""
        write_meta(path, self.model_dump())


def _problem(error: ValidationError) -> str:
    """What the first wrong key of a meta.json is, and what was expected there."""
    first = error.errors(include_url=False)[0]
    key, value = ".".join(map(str, first["loc"])), first["input"]
    expected = EXPECTED.get(first["type"], first["msg"].removeprefix("Input should be "))
    if first["type"] == "missing":
        return f"lacks {key}"
    return f"has {key} {json.dumps(value, default=str):.40}, expected {expected}"
