"""deploy/Dockerfile, carried out without Docker: its instructions, in folders that chroot makes the root.

    debootstrap --variant=minbase bookworm BASE                    # what `FROM debian:bookworm-slim` means here
    python -m tests.deploy.image BASE FOLDER [EXTRAS=train,…]      # as root; then FOLDER/1 is the image's file system
    python -m tests.deploy.image --run FOLDER/1 -- train --help    # a container of it: the ENTRYPOINT with these words

COPY takes what Dockerfile.dockerignore lets through. The package index and its certificates are those of this machine.
"""

import fnmatch
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORE = ROOT / "deploy" / "Dockerfile.dockerignore"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
VARIABLE = re.compile(r"\$(\w+)")


class Instruction(NamedTuple):
    """A line of a Dockerfile, with what continues it."""

    name: str
    value: str


@dataclass(kw_only=True)
class Stage:
    """A file system that is being made: its folder, and what the instructions so far set."""

    root: Path
    variables: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    folder: str = "/"
    user: str = "0"

    def at(self, path: str) -> Path:
        """A path of the stage on this machine."""
        return self.root / os.path.normpath(os.path.join(self.folder, path)).lstrip("/")

    def run(self, command: list[str], **more: str) -> int:
        """A command with the stage's file system as its own, in its folder and as its user."""
        shell = 'mount -t proc proc "$0/proc" && exec chroot --userspec="$1" "$0" env -i "${@:2}"'
        environment = {"HOME": "/tmp", **self.variables, **more}
        enter = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', self.folder]
        words = [str(self.root), self.user, *(f"{name}={value}" for name, value in environment.items()), *enter, *command]
        return subprocess.run(["unshare", "--mount", "--pid", "--fork", "bash", "-c", shell, *words], check=False).returncode


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, without comments.

    >>> list(instructions("# why\\nRUN a \\\\\\n    # inside\\n    && b\\nUSER 185\\n"))
    [Instruction(name='RUN', value='a     && b'), Instruction(name='USER', value='185')]
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        name, _, value = line.partition(" ")
        yield Instruction(name.upper(), value.strip())


def context() -> list[str]:
    """What the .dockerignore lets through of the checkout, as paths from its root."""
    kept = [line[1:] for line in IGNORE.read_text().splitlines() if line.startswith("!")]
    return [path for path in kept if (ROOT / path).exists()]


def copy(stage: Stage, words: list[str], stages: dict[str, Stage]) -> None:
    """COPY [--from=STAGE] [--chmod=MODE] SOURCE TARGET."""
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    source, target = [word for word in words if not word.startswith("--")]
    place = stage.at(target) / "" if target.endswith("/") else stage.at(target)
    if "from" in options:
        shutil.copytree(stages[options["from"]].at(source), place, symlinks=True, dirs_exist_ok=True)
        return
    paths = context() if source == "." else [source]
    for path in paths:
        assert any(fnmatch.fnmatch(path, kept) for kept in context()), f"{path} is not let through by {IGNORE.name}"
        into = place / path if source == "." else (place / Path(path).name if target.endswith("/") else place)
        into.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, into, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / path, into)
            into.chmod(int(options.get("chmod", "644"), 8))


def apply(stage: Stage, instruction: Instruction, stages: dict[str, Stage], given: dict[str, str]) -> None:
    """Carry out one instruction of a stage."""
    name, value = instruction
    expanded = VARIABLE.sub(lambda match: stage.variables.get(match[1], match[0]), value)
    if name == "RUN":
        status = stage.run(["/bin/sh", "-c", value], PIP_CERT="/this-machine.crt", DEBIAN_FRONTEND="noninteractive")
        assert status == 0, f"status {status}: RUN {value}"
    elif name == "COPY":
        copy(stage, expanded.split(), stages)
    elif name == "ENV":
        stage.variables |= dict(word.split("=", 1) for word in expanded.split())
    elif name == "ARG":
        key, _, default = value.partition("=")
        stage.variables[key] = given.get(key, default)
    elif name == "WORKDIR":
        stage.folder = value
        stage.at(".").mkdir(parents=True, exist_ok=True)
    elif name == "USER":
        stage.user = value
    else:
        assert name in ("ENTRYPOINT", "CMD"), f"{name} is not known here"


def build(base: Path, folder: Path, given: dict[str, str]) -> Stage:
    """Carry out all instructions: a folder for each stage. The last stage."""
    stages: dict[str, Stage] = {}
    for instruction in instructions(DOCKERFILE.read_text()):
        print(f"\n== {instruction.name} {instruction.value}", flush=True)
        if instruction.name == "FROM":
            name = instruction.value.partition(" AS ")[2] or str(len(stages))
            subprocess.run(["cp", "--archive", str(base), str(folder / name)], check=True)
            shutil.copyfile("/etc/resolv.conf", folder / name / "etc/resolv.conf")
            (folder / name / "etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")  # as Docker does
            shutil.copyfile(CERTIFICATES, folder / name / "this-machine.crt")
            stage = stages[name] = Stage(root=folder / name)
        else:
            apply(stage, instruction, stages, given)
    return stage


def entrypoint() -> list[str]:
    """The words of the ENTRYPOINT."""
    [words] = [yaml.safe_load(value) for name, value in instructions(DOCKERFILE.read_text()) if name == "ENTRYPOINT"]
    return list(words)


def container(root: Path) -> Stage:
    """The last stage as it was left, to run commands in."""
    stage = Stage(root=root)
    for instruction in list(instructions(DOCKERFILE.read_text().rpartition("FROM ")[2]))[1:]:
        if instruction.name in ("ENV", "USER", "WORKDIR"):
            apply(stage, instruction, {}, {})
    return stage


if __name__ == "__main__":
    if sys.argv[1] == "--run":
        words = sys.argv[3:]
        own = dict(word.split("=", 1) for word in words[: words.index("--")])
        sys.exit(container(Path(sys.argv[2])).run([*entrypoint(), *words[words.index("--") + 1 :]], **own))
    build(Path(sys.argv[1]), Path(sys.argv[2]), dict(word.split("=", 1) for word in sys.argv[3:]))
