"""Copies of the templates, presets and spaces, which a user may edit: those of an installed package go with its next version."""

import shutil
import sys
from pathlib import Path

from seqrec.command.installation import home, program
from seqrec.errors import UserError


def copy_templates(words: list[str]) -> None:
    """`templates DIR`: copy conf/ into a folder, made if it isn't there; UserError before a file would be written over."""
    if len(words) != 1 or words[0].startswith("-"):
        raise UserError(f"say where the copies of the templates go: {program()} templates DIR")
    source, target = home() / "conf", Path(words[0])
    files = sorted(path.relative_to(source) for path in source.rglob("*") if path.suffix in (".yaml", ".properties"))
    present = [target / file for file in files if (target / file).exists()]
    if present:
        raise UserError(f"{present[0]} is there already, and may hold your changes: name another folder, or move it away")
    try:
        for file in files:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target / file)
    except OSError as error:
        raise UserError(f"{target} can't be written ({error.strerror or error}): name another folder") from None
    sys.stdout.write(
        f"copied {len(files)} files into {target}\n"
        f"  {program()} train --conf {target}/train.yaml preset={target}/presets/sasrec.yaml\n"
    )
