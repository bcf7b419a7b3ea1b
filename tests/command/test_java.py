"""The Java that is found, and what is said where there is none that fits."""

from pathlib import Path

import pytest

from seqrec.command import java
from seqrec.errors import UserError

SAYS = '#!/bin/sh\nprintf "    java.home = {home}\\n    java.specification.version = {release}\\n" >&2\n'


def fake(home: Path, release: str) -> Path:
    """A JDK's folder with a java that says it is of that release."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(SAYS.format(home=home, release=release))
    program.chmod(0o755)
    return home


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Java; its PATH is tmp_path/tools."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    monkeypatch.setattr(java, "FOLDERS", (str(tmp_path / "jvm"),))
    return tmp_path


def test_the_real_java_is_found() -> None:
    home = java.require_java()
    assert (home / "bin" / "java").exists()


def test_java_home_wins(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(bare / "jvm" / "a", "17")
    monkeypatch.setenv("JAVA_HOME", str(fake(bare / "mine", "21")))
    assert java.require_java() == bare / "mine"


def test_a_java_that_spark_fails_on_is_passed_over(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fake(bare / "old", "1.8") / "bin"))
    fake(bare / "jvm" / "25", "25")
    with pytest.raises(
        UserError, match=r"Spark needs Java 17 to 21 and here is only Java 8, 25: install it with `.*apt-get install"
    ):
        java.require_java()
    fake(bare / "jvm" / "17", "17")
    assert java.require_java() == bare / "jvm" / "17"


@pytest.mark.parametrize("release", ["11", "1.8", "25"])
def test_a_wrong_java_home_is_named(bare: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake(bare / "wrong", release)))
    with pytest.raises(UserError, match=rf"JAVA_HOME=.*wrong is Java {release.removeprefix('1.')}, Spark needs Java 17 to 21"):
        java.require_java()
    monkeypatch.setenv("JAVA_HOME", str(bare / "none"))
    with pytest.raises(UserError, match=r"none holds no bin/java: unset it"):
        java.require_java()


def test_a_bare_machine_gets_the_line(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        java.main(["--install"])
    assert str(ended.value.code).startswith("error: Spark needs Java 17 to 21 and there is none: install it with `")
    assert capsys.readouterr().out == ""


def test_root_with_apt_get_gets_it_installed(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """apt-get is one that knows no Java 17, as on distributions that have only 21."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    jdk = bare / "jvm" / "21"
    program = bare / "tools" / "apt-get"
    program.parent.mkdir()
    ready = fake(bare / "packed", "21") / "bin" / "java"
    ready.write_text(SAYS.format(home=jdk, release="21"))
    install = f"/bin/mkdir -p {jdk} && /bin/cp -r {ready.parent} {jdk}"
    program.write_text(f'#!/bin/sh\ncase "$*" in *openjdk-21*) {install};; *openjdk-17*) exit 100;; esac\n')
    program.chmod(0o755)
    java.main(["--install"])
    assert capsys.readouterr().out == f"{jdk}\n"


def test_the_line_is_the_machine_s(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = bare / "tools"
    tools.mkdir()
    (tools / "dnf").touch(mode=0o755)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert java.install_line() == "sudo dnf install -y java-17-openjdk-headless"
    (tools / "apt-get").touch(mode=0o755)
    assert java.install_line() == "sudo apt-get update && sudo apt-get install -y openjdk-17-jre-headless"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert java.install_line() == "apt-get update && apt-get install -y openjdk-17-jre-headless"
