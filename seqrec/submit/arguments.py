"""The words of a command line taken apart: what the job's script gets, and what spark-submit gets."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from seqrec.command.installation import program, where_templates_lie
from seqrec.errors import UserError
from seqrec.submit.scripts import Script

VERBOSITY = ("-q", "--quiet", "-v", "--verbose")
LISTED = ("--packages", "--py-files", "--deploy-mode")


@dataclass(kw_only=True)
class SparkOptions:
    """Options of spark-submit; those that it takes once, as lists, are apart."""

    packages: list[str] = field(default_factory=list)
    py_files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def words(self) -> list[str]:
        """The words of the command line."""
        lists = {"--packages": self.packages, "--py-files": self.py_files}
        return [*self.others, *(word for option, values in lists.items() if values for word in (option, ",".join(values)))]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for: `template` is the file of keys, None for a dump; `words` are all that were given, as they stand."""

    script: Script
    template: str | None
    arguments: list[str]
    options: SparkOptions
    words: list[str]
    help: bool = False
    dry_run: bool = False


def parse(script: Script, words: Sequence[str]) -> Request:
    """Take apart what follows the job's name: `[--conf FILE] [option …] [key=value …] [-- spark-submit options]`."""
    before, after = list(words), list[str]()
    if "--" in before:
        after = before[before.index("--") + 1 :]
        before = before[: before.index("--")]
    template, own = str(script.template) if script.template else None, list[str]()
    while before:
        word = before.pop(0)
        if template is not None and (word == "--conf" or word.startswith("--conf=")):
            value = word.partition("=")[2] if "=" in word else (before.pop(0) if before else "")
            template = _keys_file(value)
        elif template is not None and word.startswith("-") and word not in (*VERBOSITY, "--dry-run", "-h", "--help"):
            raise UserError(
                f"{word} stands before `--`: spark-submit's options come after it, as in {program()} {script.name} -- {word} …"
            )
        else:
            own.append(word)
    asks_help = any(word in ("-h", "--help") for word in own)
    arguments = [*(("--conf", template) if template else ()), *own]
    return Request(
        script=script,
        template=template,
        arguments=arguments,
        options=_spark_options([] if asks_help else after),
        words=[*arguments, *after],
        help=asks_help,
        dry_run="--dry-run" in own,
    )


def _keys_file(path: str) -> str:
    """The file that --conf names before `--`; after it, it is spark-submit's."""
    if not path.endswith((".yaml", ".yml")):
        raise UserError(
            f"--conf {path} stands before `--` and names no FILE.yaml: spark-submit's options come after it, "
            f"as in … -- --conf {path or 'NAME=VALUE'}"
        )
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such configuration file; {where_templates_lie()}")
    return path


def _spark_options(words: Sequence[str]) -> SparkOptions:
    """The options behind `--`: spark-submit takes a list once, so the user's lists are joined to those that are added."""
    options, left = SparkOptions(), list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name not in LISTED:
            options.others.append(word)
            continue
        if not equals and not left:
            raise UserError(f"{name} needs a value")
        value = value if equals else left.pop(0)
        if name == "--deploy-mode":
            if value != "client":
                raise UserError(f"--deploy-mode {value}: jobs read this machine's files and environment; leave it out")
        else:
            (options.packages if name == "--packages" else options.py_files).append(value)
    return options
