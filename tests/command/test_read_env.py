"""The file .env: read by spark-submit.sh and by make, and what is wrong with one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOW = 'set -euo pipefail; source ./read-env.sh; read_env; for name in A B C; do echo "$name=${!name-unset}"; done'


def read(folder: Path, text: str, *, mode: int = 0o600, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a script that reads the file has in A, B and C."""
    shutil.copy(ROOT / "read-env.sh", folder)
    (folder / ".env").write_text(text)
    (folder / ".env").chmod(mode)
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(["bash", "-c", SHOW], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=b\n# a comment\n\n  export B=c # why\r\n", ["b", "c", "unset"]),
        ("A=a#b\nB=\nC='' # nothing", ["a#b", "", ""]),
        (
            'A=\'it is $HOME # "so"\'\nB="it\'s \\"$(id)\\" \\\\ `x` \\n"',
            ['it is $HOME # "so"', 'it\'s "$(id)" \\ `x` \\n', "unset"],
        ),
        ("A=mongodb://u:p%40@host:1/?a=b&c=d\nB==\nC=$HOME", ["mongodb://u:p%40@host:1/?a=b&c=d", "=", "$HOME"]),
    ],
)
def test_values_are_read_as_they_stand(tmp_path: Path, text: str, values: list[str]) -> None:
    done = read(tmp_path, text)
    assert (done.stderr, done.stdout) == ("", "".join(f"{name}={value}\n" for name, value in zip("ABC", values, strict=True)))


def test_the_environment_wins_even_where_it_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "A=file\nB=file\nC=file\n", A="environment", B="").stdout == "A=environment\nB=\nC=file\n"


def test_names_that_the_shell_lacks_are_told_apart(tmp_path: Path) -> None:
    """Twice, as in a job that starts another; and by make."""
    show = 'source ./read-env.sh; read_env; read_env; echo "$SEQREC_ENV_NAMES"'
    for name in ("read-env.sh", "Makefile"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".env").write_text("A=1\nB=2\nC=3\n")
    (tmp_path / ".env").chmod(0o600)
    (tmp_path / "show.mk").write_text('include Makefile\nshow: ; @echo "$$SEQREC_ENV_NAMES"\n')
    environment = {"PATH": os.environ["PATH"], "B": "mine"}
    for command in (["bash", "-c", show], ["make", "-f", "show.mk", "show"]):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == "A C\n", command


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A = secret", "expected KEY=value, a # comment or an empty line"),
        ("A secret", "expected KEY=value"),
        ("1A=secret", "expected KEY=value"),
        ("A= secret", "A= has a blank behind =: expected KEY=value without it"),
        ("A=secret word", "expected a value without blanks and quotes, or all of it in quotes, KEY='a b'"),
        ("A=sec'ret", "expected a value without blanks and quotes"),
        ("A='secret", "expected one value in single quotes"),
        ('A="secret', "expected one value in double quotes"),
        ('A="secret" word', "expected one value in double quotes"),
        ("B=secret", "B is there twice: keep one of the lines"),
    ],
)
def test_a_typo_is_said_with_its_line_and_without_its_value(tmp_path: Path, line: str, said: str) -> None:
    done = read(tmp_path, f"B=1\n\n{line}\nC=2\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path}/.env, line 3: {said}")
    assert "secret" not in done.stderr


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    done = read(tmp_path, "A=secret\n", mode=mode)
    assert done.returncode == 1
    assert (
        done.stderr
        == f"error: {tmp_path}/.env: others may read or write it (mode {mode:o}), and it may hold secrets: chmod 600 .env\n"
    )


def test_make_and_the_script_take_it_unless_the_environment_says_otherwise(tmp_path: Path) -> None:
    """make gives it to its commands; spark-submit.sh refuses it where it is wrong, before it looks for anything."""
    for name in ("read-env.sh", "Makefile", "spark-submit.sh"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "show.mk").write_text(
        'include Makefile\nshow: ; @echo "$$SEQREC_ROOT|$$MONGODB_URI|$$MILVUS_URI|$$MILVUS_TOKEN"\n'
    )
    (tmp_path / ".env").write_text("SEQREC_ROOT='/a $b #c'\nMONGODB_URI=none\nMILVUS_URI=none\nMILVUS_TOKEN=t\n")
    (tmp_path / ".env").chmod(0o600)
    environment = {"PATH": os.environ["PATH"], "MILVUS_URI": "http://host:1"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run("make", "-f", "show.mk", "show").stdout == "/a $b #c|none|http://host:1|t\n"
    assert run("make", "-f", "show.mk", "show", "MILVUS_TOKEN=mine").stdout == "/a $b #c|none|http://host:1|mine\n"
    (tmp_path / ".env").write_text("SEQREC_ROOT\n")
    for command in (["make", "help"], ["./spark-submit.sh", "--help"]):
        done = run(*command)
        assert done.returncode != 0
        assert f"error: {tmp_path}/.env, line 1: expected KEY=value" in done.stderr
    environment["SEQREC_ENV_FILE"] = ""
    assert run("make", "help").returncode == 0


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    assert read(tmp_path, "A=1\n", SEQREC_ENV_FILE="").stdout == "A=unset\nB=unset\nC=unset\n"
    done = read(tmp_path, "A=1\n", SEQREC_ENV_FILE="prdo.env")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: prdo.env: SEQREC_ENV_FILE names this file, which isn't there: mend the name")
    (tmp_path / ".env").unlink()
    environment = {"PATH": os.environ["PATH"]}

    def read_again() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", SHOW], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert read_again().stdout == "A=unset\nB=unset\nC=unset\n"
    (tmp_path / ".env").symlink_to(tmp_path / "gone.env")
    assert read_again().stderr == f"error: {tmp_path}/.env: this is no file that can be read: make it one, or remove it\n"
