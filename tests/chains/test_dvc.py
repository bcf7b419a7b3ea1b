"""A chain as stages of DVC: a real DVC in a repository of its own, with this project's commands; jobs write small versions."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from seqrec.chains import run
from seqrec.storage import versions
from tests import s3

ROOT = Path(__file__).parents[2]
JOB = '''"""Writes a version as the job does, of one small file."""
import os
from pathlib import Path
from seqrec.chains.chain_file import settings_of
from seqrec.command.entry import run_job
from seqrec.command.lineage import folder_written
from seqrec.command.story import open_draft, origin
from seqrec.storage import versions
from seqrec.storage.made_from import record

def run(cfg):
    made, folder = origin(cfg), Path(folder_written(cfg))
    if JOB == "train":
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        for name in ("checkpoints/last.pt", "config.yaml", "vocabulary.parquet", "epochs.jsonl"):
            (folder / name).write_bytes(os.urandom(9))
        versions.write_meta(str(folder), {"run_id": versions.new_run_id(), "name": "m"})
        record(str(folder), made)
    else:
        draft = open_draft(cfg, str(folder))
        Path(draft.path).mkdir(parents=True)
        Path(draft.path, "part").write_bytes(os.urandom(1000))
        versions.write_meta(draft.path, {"run_id": draft.run_id})
        draft.commit(keep=5)

JOB = Path(__file__).stem
if __name__ == "__main__":
    run_job(settings_of(JOB), run, None)
'''
SPARK = """#!/usr/bin/env bash
while [[ $1 != */jobs/*.py ]]; do shift; done
exec "$PYSPARK_DRIVER_PYTHON" "$@"
"""
STEPS = ["build_sequences", "train", "export_onnx"]


class Repository:
    """A Git repository with this project's script, package and templates, and a chain of three jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / ".seqrec" / "root"
        self.root.mkdir(parents=True)
        shutil.copytree(ROOT / "conf", folder / "conf")
        shutil.copytree(ROOT / "seqrec", folder / "seqrec", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("spark-submit.sh", "read-env.sh", ".gitignore"):
            shutil.copy(ROOT / name, folder)
        (folder / "jobs").mkdir()
        for name in STEPS:
            (folder / "jobs" / f"{name}.py").write_text(JOB)
        spark = folder.parent / "spark" / "bin"
        spark.mkdir(parents=True)
        (spark / "spark-submit").write_text(SPARK)
        (spark / "spark-submit").chmod(0o755)
        (folder / "chain.yaml").write_text("steps:\n" + "".join(f"  {name}:\n" for name in STEPS))
        (self.root / "ratings.csv").write_text("user,item\n1,2\n")
        for words in (["git", "init", "-q"], ["git", "config", "user.email", "a@b.c"], ["git", "config", "user.name", "n"]):
            self.run(*words)
        self.dvc("init", "-q")
        self.run("./spark-submit.sh", "run", "chain.yaml", "--dvc")

    def run(self, *words: str, **variables: str) -> str:
        """What a command says, which has to succeed."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SEQREC", "SPARK", "PYSPARK", "PYTHON"))
        }
        own = {"PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(self.folder.parent / "spark"), "SEQREC_ROOT": str(self.root)}
        environment = {**kept, **own, "MONGODB_URI": "none", "MILVUS_URI": "none", "DVC_NO_ANALYTICS": "1", **variables}
        done = subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dvc(self, *words: str, **variables: str) -> str:
        """What DVC says."""
        return self.run(sys.executable, "-m", "dvc", *words, **variables)

    def repro(self, *words: str) -> list[str]:
        """The stages that `dvc repro` runs; no other says that it didn't change."""
        said = self.dvc("repro", *words)
        ran = [name for name in STEPS if f"Running stage '{name}'" in said]
        assert all((f"'{name}' didn't change" in said) is (name not in ran) for name in STEPS) or words
        return ran


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a bucket on a real S3 server and what reaches it, where one can be built; else a folder."""
    if (binary := s3.build()) is None or importlib.util.find_spec("dvc_s3") is None:
        yield str(tmp_path / "remote"), {}
        return
    for name in ("s3/bucket", "notes"):
        (tmp_path / name).mkdir(parents=True)
    with s3.serve(binary, tmp_path / "s3", tmp_path / "notes") as address:
        yield "s3://bucket/dvc", {**s3.KEYS, "ENDPOINT": address}


@pytest.mark.skipif(importlib.util.find_spec("dvc") is None, reason="DVC isn't installed: pip install 'seqrec[repro]'")
def test_stages_run_where_something_changed_and_their_versions_come_back(
    tmp_path: Path, remote: tuple[str, dict[str, str]]
) -> None:
    repository = Repository(tmp_path / "repository")
    root = repository.root
    assert repository.repro() == STEPS
    first = versions.read_current(f"{root}/dataset")
    assert repository.repro() == []
    template = repository.folder / "conf" / "train.yaml"
    template.touch()
    assert repository.repro() == []
    template.write_text(template.read_text().replace("max_epochs: 16", "max_epochs: 15"))
    assert repository.repro() == ["train", "export_onnx"]
    (root / "ratings.csv").write_text("user,item\n1,3\n")
    assert repository.repro() == STEPS
    assert repository.repro("-f", "--single-item", "export_onnx") == ["export_onnx"]
    assert versions.run_ids(f"{root}/dataset")[0] == first  # DVC deletes no version

    address, keys = remote
    repository.dvc("remote", "add", "-d", "store", address)
    if endpoint := keys.pop("ENDPOINT", None):
        repository.dvc("remote", "modify", "store", "endpointurl", endpoint)
        repository.dvc("remote", "modify", "store", "ssl_verify", "false")
    repository.dvc("push", **keys)
    before = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name[0] != "."}
    for folder in ("dataset", "model"):
        shutil.rmtree(root / folder)
    shutil.rmtree(repository.folder / ".dvc" / "cache")
    repository.dvc("pull", **keys)
    assert {
        path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name[0] != "."
    } == before
    assert repository.repro() == []
    assert "stale" not in repository.run("./spark-submit.sh", "run", "chain.yaml", "--dry-run")


@pytest.mark.parametrize(
    ("variables", "words", "said"),
    [
        ({"SEQREC_ROOT": "/elsewhere"}, ["--dvc"], "SEQREC_ROOT=/elsewhere lies outside of the repository"),
        ({}, ["--dvc", "FOLDER/stages.yaml"], "DVC reads files of the name dvc.yaml alone"),
        ({}, ["--dvc", "FOLDER/own/dvc.yaml"], "has stages of its own"),
        ({}, ["--dvc", "FOLDER/dvc.yaml", "build_sequences.input.path=s3a://b/r.csv"], "DVC's stages read files of this machine"),
        (
            {},
            ["--dvc", "FOLDER/dvc.yaml", "build_sequences.input.path=FOLDER/root/r-*.csv"],
            "into a folder of their own",
        ),
    ],
)
def test_what_dvc_can_t_do_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: list[str], said: str
) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "chain.yaml").write_text("steps:\n  build_sequences:\n")
    monkeypatch.setenv("SEQREC_ROOT", variables.get("SEQREC_ROOT", f"{tmp_path}/root"))
    with pytest.raises(SystemExit, match=f"^error: .*{said}"):
        run.main([str(tmp_path / "chain.yaml"), *(word.replace("FOLDER", str(tmp_path)) for word in words)])
    assert not (tmp_path / "dvc.yaml").exists()


def test_a_stage_has_what_its_step_reads_and_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SEQREC_ROOT": f"{tmp_path}/root", "MONGODB_URI": "none", "MILVUS_URI": "none"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".dvc").mkdir()
    steps = (
        "  build_sequences:\n  train:\n    preset: gsasrec\n  export_onnx:\n  batch_recommend:\n  publish:\n    after: [train]\n"
        "  report:\n  tune:\n"
    )
    (tmp_path / "chain.yaml").write_text(f"steps:\n{steps}")
    run.main(
        [str(tmp_path / "chain.yaml"), "train.name=${HOME}", "--dvc", f"{tmp_path}/stages/dvc.yaml", "--", "--master", "local[2]"]
    )
    written = (tmp_path / "stages" / "dvc.yaml").read_text()
    assert "run ../chain.yaml --dvc dvc.yaml 'train.name=${HOME}' -- --master 'local[2]'` in this folder" in written
    stages = yaml.safe_load((tmp_path / "stages" / "dvc.yaml").read_text())["stages"]
    train, publish = stages["train"], stages["publish"]
    assert train["cmd"].startswith('SEQREC_ROOT="$PWD/../root" ')
    assert train["cmd"].endswith(r"run ../chain.yaml --only train --force 'train.name=\${HOME}' -- --master 'local[2]'")
    assert {
        "../root/dataset/CURRENT",
        f"{ROOT}/jobs/train.py",
        f"{ROOT}/conf/presets/gsasrec.yaml",
        f"{ROOT}/seqrec/training",
    } <= set(train["deps"])
    assert {"../root/model/meta.json": {"persist": True}} in train["outs"]
    assert "../root/model/exports/CURRENT" in stages["batch_recommend"]["deps"]
    assert {"../root/output/CURRENT", "../root/model/meta.json"} <= set(publish["deps"])
    assert publish["outs"] == [{"../root/chain_steps/publish.json": {"persist": True}}]
    assert {"../root/report.html": {"persist": True}} in stages["report"]["outs"]
    assert {f"{ROOT}/conf/spaces/sasrec.yaml", f"{ROOT}/conf/train.yaml"} <= set(stages["tune"]["deps"])
    assert "PUBLISHED.json" in (tmp_path / ".dvcignore").read_text()
