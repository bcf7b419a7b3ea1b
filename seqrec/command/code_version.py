"""A hash of a job's code: of its script, and of the modules of seqrec that it imports, directly or through others.

So a change of a module makes anew what came through it, and nothing else. Comments count: what runs isn't compared with what ran.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

PACKAGE = "seqrec"


@cache
def code_version(script: Path) -> str:
    """The hash of the code of the job with this script, 12 hexadecimal digits."""
    source = script.read_text(encoding="utf-8")
    hashed = hashlib.sha256(source.encode())
    for module in sorted(code_modules(source)):
        hashed.update(f"\0{module}\0{_source(module)}".encode())
    return hashed.hexdigest()[:12]


def code_modules(source: str) -> set[str]:
    """The modules of seqrec that a source imports, and those that these import, inside functions too."""
    modules: set[str] = set()
    waiting = list(_named(source))
    while waiting:
        module = waiting.pop()
        if module not in modules:
            modules.add(module)
            waiting += _imports(module)
    return modules


@cache
def _imports(module: str) -> tuple[str, ...]:
    """The modules of seqrec that a module imports."""
    return tuple(_named(_source(module)))


def _named(source: str) -> Iterator[str]:
    """The modules of seqrec in the imports of a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else node.module


@cache
def _is_module(name: str) -> bool:
    """Whether a dotted name is a module of seqrec, and not a class or a function of one."""
    return _file_of(name) is not None


@cache
def _source(module: str) -> str:
    """The source of a module of seqrec."""
    file = _file_of(module)
    return "" if file is None else file.read_text(encoding="utf-8")


def _file_of(module: str) -> Traversable | None:
    """The file of a module, which may lie in a zip; nothing is imported but seqrec itself."""
    *folders, name = module.split(".")
    root = files(PACKAGE)
    if not folders:
        return root / "__init__.py"
    for folder in folders[1:]:
        root = root / folder
    places = (root / f"{name}.py", root / name / "__init__.py")
    return next((place for place in places if place.is_file()), None)
