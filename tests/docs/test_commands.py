"""Every command of README.md and docs/ exists, takes its keys and options, and is run by a test or is marked as needing more.

The line before a block of commands says which: `<!-- tested: FILE::NAME, … -->` names tests or fixtures that run such commands,
`<!-- needs a cluster -->` and the other NEEDS say what no test has.
"""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from seqrec.chains.chain_file import read_chain
from seqrec.command.config import Strict, load_config
from seqrec.errors import UserError
from seqrec.submit.main import OTHERS
from tests.docs.commands import ENVIRONMENT, PAGES, ROOT, Block, before_dashes, blocks_of, record
from tests.docs.generate import help_of, settings_of

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [block for block in BLOCKS if block.language == "bash"]
NEEDS = {"needs Docker", "needs a cluster", "needs S3", "needs a browser", "needs Delta and Iceberg"}
SHOWN = {"text", "yaml", "json", "sql", "csv"}  # languages of what is shown, not run
TESTED = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OPTION = re.compile(r"--[a-z][a-z-]*")


def check_all(script: str, folder: Path) -> None:
    """Check each command of a script."""
    for command in record(script, folder):
        check(command)


def check(command: list[str]) -> None:
    """Fail if a command doesn't exist, or doesn't take its keys or options."""
    program, words = command[0], command[1:]
    name = Path(program).name
    if name in ("spark-submit.sh", "seqrec") or (name == "python" and words[:2] == ["-m", "seqrec"]):
        check_submit(words[2:] if name == "python" else words)
    elif name == "make":
        check_make(words)
    elif name in ("spark-submit", "torchrun"):
        [script] = [word for word in words if re.fullmatch(r"(jobs|dump)/\w+\.py", word)]
        check_script(script, words[words.index(script) + 1 :])
    elif name == "python":
        if words[0] == "-m":
            check_module(words[1], words[2:])
        elif words[0] != "-c":
            assert (ROOT / words[0]).exists(), f"there is no {words[0]}"
    else:
        assert name in (
            "git",
            "dvc",
            "envsubst",
            "unzip",
            "curl",
            "mlflow",
            "pip",
            "docker",
            "cp",
            "chmod",
            "pre-commit",
            "tensorboard",
        ), f"unknown program {program}"


def check_submit(words: list[str]) -> None:
    """./spark-submit.sh [--print] JOB …, or python -m seqrec"""
    words = words[1:] if words[0] == "--print" else words
    job, arguments = words[0], before_dashes(words[1:])
    if job == "run":
        read_chain(arguments[0], [word for word in arguments[1:] if "=" in word])
        check_options("seqrec.chains.run", [word for word in arguments if word.startswith("--")])
    if words == ["--help"] or job in OTHERS:
        return
    folder = "dump" if (ROOT / "dump" / f"{job}.py").exists() else "jobs"
    assert (ROOT / folder / f"{job}.py").exists(), f"there is no job {job}"
    check_script(f"{folder}/{job}.py", arguments)


def check_script(script: str, arguments: list[str]) -> None:
    """A job with its template and overrides, or a dump with its options."""
    job = Path(script).stem
    assert (ROOT / script).exists(), f"there is no {script}"
    if script.startswith("dump/"):
        check_options(f"dump.{job}", arguments)
        return
    if "--conf" in arguments:
        place = arguments.index("--conf")
        arguments = arguments[:place] + arguments[place + 2 :]
    overrides = [argument for argument in arguments if not argument.startswith("--")]
    check_options(f"jobs.{job}", [argument for argument in arguments if argument.startswith("--")])
    settings = settings_of(job)
    assert issubclass(settings, Strict)
    load_config(settings, str(ROOT / "conf" / f"{job}.yaml"), overrides)


def check_make(words: list[str]) -> None:
    """make TARGET VARIABLE=value …"""
    for word in words:
        variable, is_set, _ = word.partition("=")
        pattern = rf"\b{variable}\b" if is_set else rf"^{word}:"
        assert re.search(pattern, MAKEFILE, re.MULTILINE), f"the Makefile has no {word}"


def check_module(module: str, arguments: list[str]) -> None:
    """python -m MODULE --option …"""
    path = ROOT.joinpath(*module.split("."))
    if module.split(".")[0] not in ("seqrec", "tests"):
        assert importlib.util.find_spec(module) is not None, f"there is no module {module}"
        return
    assert path.is_dir() or path.with_suffix(".py").exists(), f"there is no module {module}"
    check_options(module, arguments)


def check_options(module: str, arguments: list[str]) -> None:
    """The options are among those that the module's --help prints."""
    options = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    if options:
        unknown = set(options) - set(OPTION.findall(help_of(module)))
        assert not unknown, f"{module} has no {', '.join(sorted(unknown))}"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_commands_exist_and_take_their_keys(block: Block, tmp_path: Path) -> None:
    check_all(block.text, tmp_path)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language not in SHOWN], ids=str)
def test_a_block_says_which_test_runs_it_or_what_that_needs(block: Block) -> None:
    assert block.language in ("bash", "python"), "a block of code has a language: bash, python, or that of what it shows"
    if block.mark in NEEDS:
        return
    assert block.mark.startswith("tested: "), "the line before says `<!-- tested: FILE::NAME -->` or `<!-- needs … -->`"
    for part in block.mark.removeprefix("tested: ").split(", "):
        named = TESTED.fullmatch(part)
        assert named, f"{part} is not FILE::NAME"
        text = (ROOT / named[1]).read_text(encoding="utf-8")
        assert re.search(rf"^def {named[2]}\(", text, re.MULTILINE), f"{named[1]} has no {named[2]}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_imports_of_examples_exist(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seqrec"):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_in_fenced_blocks(page: Path) -> None:
    begin = re.compile(r" {4,}(\./spark|make |\.venv/)")
    indented = [line for line in page.read_text(encoding="utf-8").splitlines() if begin.match(line)]
    outside = [line for line in indented if not any(line in block.text for block in BLOCKS)]
    assert outside == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("./spark-submit.sh build_sequences k_core.user=5", "did you mean k_core.users"),
        ("./spark-submit.sh build_sequence", "there is no job build_sequence"),
        ("./spark-submit.sh write_mongo --orgin items --dest items --queryid item_id", "has no --orgin"),
        ("./spark-submit.sh run demo --dryrun", "has no --dryrun"),
        ("./spark-submit.sh run demo trian.max_epochs=3", "did you mean train"),
        ("make recomend RATINGS=x", "the Makefile has no recomend"),
        ("make recommend RATING=x", "the Makefile has no RATING=x"),
        ("python -m seqrec tain", "there is no job tain"),
        (".venv/bin/python -m seqrec.store.show", "store"),
        (".venv/bin/python -m seqrec.stores.show --usr 5", "has no --usr"),
        ("spark-submit jobs/train.py --conf conf/train.yaml max_epoch=1", "did you mean max_epochs"),
        ("wget http://localhost", "wget"),
    ],
)
def test_the_check_finds_what_is_wrong(script: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, UserError)) as raised:
        check_all(script, tmp_path)
    assert said in str(raised.value)


def test_a_recorded_command_has_the_words_that_a_shell_makes(tmp_path: Path) -> None:
    script = "A='x y'\n./spark-submit.sh train \\\n  name=\"[$A, $SEQREC_ROOT]\" input.delimiter='\\t'\nmake demo # why"
    assert record(script, tmp_path) == [
        ["./spark-submit.sh", "train", "name=[x y, /data/seqrec]", "input.delimiter=\\t"],
        [f"{tmp_path}/bin/make", "demo"],
    ]
