"""The modules of seqrec that a module imports, and theirs, as source; and the packages of others that all of these need.

code = served_code("seqrec.serving.mlflow_model")
code.write(folder)           # FOLDER/seqrec/…
code.requirements            # ["numpy==1.26.4", "onnxruntime==1.20.1", …]
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

OURS = "seqrec"
NOT_NEEDED = {"pyspark", "py4j"}  # storage.hadoop imports them where a Spark context runs, and nowhere else

PACKAGES = {"yaml": "pyyaml"}  # whose packages have other names than what is imported


@dataclass(frozen=True)
class ServedCode:
    """Modules by name, each with its file's path below a folder and its source."""

    modules: dict[str, tuple[Path, str]]

    def write(self, folder: Path) -> None:
        """Write the modules below a folder."""
        for path, source in self.modules.values():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source, encoding="utf-8")

    @cached_property
    def requirements(self) -> list[str]:
        """The packages that the modules import, with the versions that are installed here, in the order of their names."""
        imported = {name.partition(".")[0] for _, source in self.modules.values() for name in _imports(source)}
        others = imported - {OURS} - NOT_NEEDED - sys.stdlib_module_names
        names = {PACKAGES.get(name, name) for name in others}
        return [f"{name}=={version(name)}" for name in sorted(names, key=str.lower)]


def served_code(*roots: str) -> ServedCode:
    """The modules, and all of seqrec that they import, inside functions too."""
    modules: dict[str, tuple[Path, str]] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        spec = _spec(name)
        if spec is None or name in modules:
            continue
        source: str = spec.loader.get_source(name)  # type: ignore[union-attr] # of a file, or of an archive of them
        path = Path(*name.split("."))
        modules[name] = (path / "__init__.py" if spec.submodule_search_locations is not None else path.with_suffix(".py"), source)
        waiting += [name.rpartition(".")[0], *_imports(source)]
    return ServedCode(modules)


def _imports(source: str) -> Iterator[str]:
    """The names that a source imports, of modules or of what is in them.

    >>> list(_imports("import a.b\\ndef f():\\n    from seqrec.errors import UserError"))
    ['a.b', 'seqrec.errors', 'seqrec.errors.UserError']
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _spec(name: str) -> ModuleSpec | None:
    """Where a module of seqrec is; None for others, and for a name that is no module."""
    if name.partition(".")[0] != OURS:
        return None
    try:
        return find_spec(name)
    except ModuleNotFoundError:
        return None
