"""docs/architecture.md shows the tree as it is: every module in its folder, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = re.compile(r"^ {6}(\w+)/ ")
MODULES = re.compile(r"^ {8}(\w+(?: \w+)*)(?:  |$)")
BESIDE = re.compile(r"^ {6}(\w+)\.py ")
GROUND = re.compile(r"^ {6}(\w+(?: \w+)+)  +the ground$")


def modules_shown(text: str) -> set[str]:
    """The modules that the tree in a text names, such as dataset.read."""
    shown, folder = set(), ""
    for line in text.splitlines():
        if heading := FOLDER.match(line):
            folder = heading[1]
        elif modules := MODULES.match(line):
            shown |= {f"{folder}.{name}" for name in modules[1].split()}
        elif beside := BESIDE.match(line):
            shown.add(beside[1])
        elif ground := GROUND.match(line):
            shown |= set(ground[1].split())
    return shown


def test_the_tree_in_the_docs_is_the_tree() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    tree = text.partition("## The tree")[2].partition("## The path")[0]
    modules = (path.relative_to(ROOT / "seqrec").with_suffix("") for path in (ROOT / "seqrec").rglob("*.py"))
    there = {".".join(module.parts) for module in modules if module.name != "__init__"}
    shown = modules_shown(tree) - {f"settings.{path.stem}" for path in (ROOT / "seqrec" / "settings").glob("*.py")}
    there -= {name for name in there if name.startswith("settings.")}  # one a job, which the tree says
    assert shown - there == set(), "in the docs and not in the tree"
    assert there - shown == set(), "in the tree and not in the docs"


def test_the_check_reads_each_kind_of_line() -> None:
    text = """
      chain.py     all jobs
      dataset/     ratings into tables
        read lines    text
        clean
      errors indices       the ground"""
    assert modules_shown(text) == {"chain", "dataset.read", "dataset.lines", "dataset.clean", "errors", "indices"}
