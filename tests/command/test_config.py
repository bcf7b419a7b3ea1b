"""load_config: precedence, types, and errors that name the key, the file and the remedy."""

import importlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, model_validator

from seqrec.command.config import Stores, Strict, describe_keys, load_config, load_job, preset_path, public
from seqrec.errors import UserError


class Inner(Strict):
    users: int = Field(5, description="least events of a user")
    names: list[str] | None = None
    items: int = 1

    @model_validator(mode="after")
    def _some_items(self) -> "Inner":
        if not self.items:
            raise ValueError(f"items={self.items} leaves nothing: set more")
        return self


class Settings(Strict):
    data: str
    preset: str | None = None
    lr: float = 0.1
    header: bool = True
    delimiter: str = ","
    k_core: Inner = Inner()

    @model_validator(mode="after")
    def _one_of_both(self) -> "Settings":
        if self.lr == 2 and self.delimiter == ";":
            raise ValueError(f"delimiter={self.delimiter} and lr={self.lr} don't go together")
        return self


class Publishing(Strict):
    output: str = "out"
    stores: Stores


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(content: str, name: str = "job.yaml") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return str(path)

    return write


def test_overrides_win_over_the_preset_and_that_over_the_template(write: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SEQREC_HOME", str(tmp_path))
    write("lr: 2\nk_core: {users: 20}\nheader: false", "conf/presets/big.yaml")
    path = write("data: d\nlr: 1\ndelimiter: ;\nk_core: {users: 10, names: [a]}")
    settings = load_config(Settings, path, ["preset=big", "lr=3"])
    assert (settings.lr, settings.delimiter, settings.header, settings.k_core) == (3.0, ";", False, Inner(users=20, names=["a"]))


def test_values_are_typed_by_the_model(write: Any) -> None:
    overrides = ["lr=1e-3", "header=false", "delimiter=::", "k_core.users=7", "k_core.names=[a, 1]", "preset=null"]
    settings = load_config(Settings, write("data: d\npreset: none-such"), overrides)
    assert settings == Settings(data="d", lr=0.001, header=False, delimiter="::", k_core=Inner(users=7, names=["a", "1"]))


def test_variables_are_expanded_where_the_value_is_needed(write: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/root")
    path = write("data: ${SEQREC_ROOT}/data\nk_core: {names: ['${SEQREC_ROOT}']}")
    assert load_config(Settings, path, []).data == "/root/data"
    assert load_config(Settings, path, []).k_core.names == ["/root"]
    monkeypatch.setenv("SEQREC_ROOT", "")
    assert load_config(Settings, path, ["data=x", "k_core.names=null"]).data == "x"
    with pytest.raises(
        UserError, match=r"SEQREC_ROOT is unset or empty, and key data of .*job\.yaml needs it: `export SEQREC_ROOT"
    ):
        load_config(Settings, path, [])


@pytest.mark.parametrize(
    ("content", "overrides", "said"),
    [
        ("data: d\nk_core: {user: 1}", [], r"job.yaml: unknown key k_core.user; did you mean k_core.users\?"),
        ("data: d", ["users=3"], r"^the command line: unknown key users; did you mean k_core.users\?"),
        ("data: d", ["zzz=3"], "unknown key zzz; --help lists the keys"),
        ("lr: 1", [], r"key data is missing: set it in the file or pass data="),
        ("data: d\nlr: 2", ["delimiter=;", "header=false"], "^the command line: delimiter=; and lr=2.0 don't go together$"),
        ("data: d\nlr: 2\ndelimiter: ;", ["header=false"], "job.yaml: delimiter=; and lr=2.0 don't go together$"),
        ("data: d", ["k_core.items=0"], "^the command line: k_core: items=0 leaves nothing"),
        ("data: d", ["lr=fast"], "lr='fast': Input should be a valid number"),
        ("data: d", ["k_core.users=2.5"], r"k_core.users='2.5': Input should be a valid integer"),
        ("data: d", ["k_core=3"], r"k_core='3': Input should be a valid dictionary"),
        ("data: d", ["preset=none-such"], "preset=none-such: no such file .*; presets are: "),
        ("- a", [], "holds a list, expected `key: value` lines"),
        ("data: [", [], "is not valid YAML: "),
        ("data: d\nlr: 1\nlr: 2", [], "not valid YAML: the key lr is there twice, the second time in line 3: keep one of them"),
        ("data: d\nk_core: {users: 1, users: 2}", [], "the key users is there twice"),
        ("data: d\n'': 3", [], "line 2 has a key that is empty or no word"),
        ("data: d\n? [a]\n: 3", [], "line 2 has a key that is empty or no word"),
        ("data: d\nk_core: &a {names: [*a]}", [], "not valid YAML: an anchor refers to itself"),
        ("data: &a [*a]", [], "an anchor refers to itself"),
        ("data: " + "[" * 5000, [], "is not valid YAML: "),
        ("data: d\nk_core: {users: true}", [], "k_core.users=True: true and false are no value of it"),
        ("data: d", ["lr=inf"], "lr='inf': Input should be a finite number"),
        ("data: d", ["k_core.users=1" + "0" * 400], r"k_core.users='10+…: "),
        ("!!python/object/apply:os.system ['true']", [], "is not valid YAML: could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_named(write: Any, content: str, overrides: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_config(Settings, write(content), overrides)


def test_a_file_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("data: Bücher".encode("latin-1"))
    (tmp_path / "binary.yaml").write_bytes(b"data: a\0b")
    with pytest.raises(UserError, match=r"latin\.yaml is not UTF-8 \(byte 7\): save it as UTF-8"):
        load_config(Settings, str(tmp_path / "latin.yaml"), [])
    with pytest.raises(UserError, match=r"binary\.yaml is not valid YAML: "):
        load_config(Settings, str(tmp_path / "binary.yaml"), [])
    with pytest.raises(UserError, match=r"can't be read \(Is a directory\): a configuration is a readable YAML file"):
        load_config(Settings, str(tmp_path), [])


def test_an_anchor_can_be_used_twice(write: Any) -> None:
    assert load_config(Settings, write("data: &a d\npreset: null\nk_core: {names: [*a, *a]}"), []).k_core.names == ["d", "d"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such configuration file; the templates lie in conf/"):
        load_config(Settings, str(tmp_path / "none.yaml"), [])


def test_stores_come_from_the_environment_and_stay_secret(write: Any, monkeypatch: Any) -> None:
    path = write("output: o")
    monkeypatch.setenv("MONGODB_URI", "mongodb://u:hidden@h")
    monkeypatch.delenv("MILVUS_URI", raising=False)
    with pytest.raises(
        UserError, match=r"MILVUS_URI is unset or empty: `export MILVUS_URI=…` with http://host:19530, embedded or none"
    ):
        load_config(Publishing, path, [])
    monkeypatch.setenv("MILVUS_URI", "none")
    monkeypatch.setenv("MILVUS_TOKEN", "hidden")
    settings = load_config(Publishing, path, [])
    assert settings.stores.mongodb_uri.get_secret_value() == "mongodb://u:hidden@h"
    assert "hidden" not in str(settings) + str(public(settings))
    with pytest.raises(UserError, match="not by the key `stores`"):
        load_config(Publishing, path, ["stores.mongodb_uri=mongodb://x"])


def test_a_preset_can_be_a_file(write: Any, tmp_path: Path) -> None:
    path = write("lr: 4", "mine.yaml")
    assert preset_path(path) == path
    assert load_config(Settings, write("data: d"), [f"preset={path}"]).lr == 4


def test_help_shows_every_key_and_no_store() -> None:
    assert describe_keys(Settings) == [
        "  data = required",
        "  preset = null",
        "  lr = 0.1",
        "  header = true",
        "  delimiter = ','",
        "  k_core.users = 5   least events of a user",
        "  k_core.names = null",
        "  k_core.items = 1",
    ]
    assert describe_keys(Publishing) == ["  output = 'out'"]


TEMPLATES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf").glob("*.yaml"))
REQUIRED = {"enrich_items": ["wikipedia.contact=someone@example.org"]}  # keys that a template can't have
ROOTS = ["s3a://bucket/prefix", "/data/seq rec-1.0", "/a #b", "/a: b", "/[x]", '/"a"', "/a\\b", "/{a}&*!", "/ä→日"]


def render(job: str, target: Path, **variables: str) -> str:
    """The job's template, rendered as the docs say, in an environment of these variables alone."""
    command = ["sh", "-c", f"envsubst < conf/{job}.yaml > '{target}'"]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **variables}
    subprocess.run(command, cwd=Path(__file__).parents[2], env=environment, check=True)
    return str(target)


@pytest.mark.skipif(shutil.which("envsubst") is None, reason="there is no envsubst")
@pytest.mark.parametrize("job", TEMPLATES)
def test_a_template_rendered_by_envsubst_is_the_template(job: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Whatever the root is called; and the variables aren't needed any more."""
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")
    module = importlib.import_module(f"seqrec.settings.{job}")
    settings = next(kind for kind in vars(module).values() if getattr(kind, "__name__", "") == job.title().replace("_", ""))
    given = REQUIRED.get(job, [])
    for root in ROOTS:
        monkeypatch.setenv("SEQREC_ROOT", root)
        direct = load_config(settings, str(Path(__file__).parents[2] / "conf" / f"{job}.yaml"), given)
        monkeypatch.delenv("SEQREC_ROOT")
        assert load_config(settings, render(job, tmp_path / "out.yaml", SEQREC_ROOT=root), given) == direct
        assert root in str(direct) or repr(root)[1:-1] in str(direct)


@pytest.mark.skipif(shutil.which("envsubst") is None, reason="there is no envsubst")
@pytest.mark.parametrize("job", TEMPLATES)
def test_a_template_rendered_with_an_empty_variable_is_refused(job: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")
    module = importlib.import_module(f"seqrec.settings.{job}")
    settings = next(kind for kind in vars(module).values() if getattr(kind, "__name__", "") == job.title().replace("_", ""))
    said = r"out\.yaml: \w+: (/\w+) isn't there, and is what \${SEQREC_ROOT}\1 becomes where SEQREC_ROOT is unset or empty"
    with pytest.raises(UserError, match=said):
        load_config(settings, render(job, tmp_path / "out.yaml"), [])


def test_a_path_at_the_root_is_taken_where_it_is_meant(write: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """It is there, it is written with its scheme, or it is on the command line."""
    monkeypatch.setenv("SEQREC_HOME", str(tmp_path))
    write("data: '${ROOT}/none-such'\npreset: '${ROOT}/tmp'", "conf/test_config.yaml")
    assert load_config(Settings, write("data: file:///none-such\npreset: null"), []).data == "file:///none-such"
    assert load_config(Settings, write("data: /none-such"), ["data=/none-such"]).data == "/none-such"
    with pytest.raises(
        UserError, match=r"data: /none-such isn't there, .* that is to be made there is written file:///none-such$"
    ):
        load_config(Settings, write("data: /none-such"), [])
    write("data: '${ROOT}/tmp'", "conf/test_config.yaml")
    assert load_config(Settings, write("data: /tmp"), []).data == "/tmp"


def test_keys_of_every_job_are_no_settings(write: Any) -> None:
    """They are read from the file and from the command line, and checked as settings are."""
    path = write("data: d\ntrack: mlflow")
    settings, frame = load_job(Settings, path, ["experiment=nightly"])
    assert (frame.track, frame.experiment) == ("mlflow", "nightly")
    assert "track" not in public(settings)
    assert load_job(Settings, path, ["track=null"])[1].track is None
    with pytest.raises(UserError, match=r"^the command line: track=.mlflw.: Input should be 'none' or 'mlflow'$"):
        load_config(Settings, path, ["track=mlflw"])
    with pytest.raises(UserError, match=r"unknown key trak; did you mean track\?"):
        load_config(Settings, path, ["trak=mlflow"])
