"""The package as its users install it: a wheel, made from the source distribution, where no checkout can be imported."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pyarrow.dataset
import pytest

from seqrec.simulate import Simulation, write_ratings
from seqrec.storage import versions

ROOT = Path(__file__).parents[2]
INSIDE = ("jobs", "dump", "conf")  # folders of a checkout that become folders of the package
BUILT = ("*.egg-info", "__pycache__", "build", "dist", "mlruns", ".*")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
TINY = ("max_epochs=1", "encoder.dim=16", "encoder.blocks=1", "valid_users=16", "tensorboard=false")


def run(*command: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command where neither PYTHONPATH nor a variable of seqrec's leads to a checkout."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYSPARK", "SEQREC"))}
    return subprocess.run(list(map(str, command)), cwd=cwd, env=own | more, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from a copy of the checkout: building writes beside the sources."""
    folder = tmp_path_factory.mktemp("sdist")
    hidden = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*BUILT))
    shutil.copytree(ROOT / ".ci", hidden / ".ci")
    (hidden / "deploy/.env").write_text("MONGO_PASSWORD=secret\n")
    done = run(sys.executable, "-c", BUILD, folder, cwd=folder / "source")
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """The wheel, built by pip from what the source distribution holds, in a folder where a module of an older build is left."""
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    source = sdist.parent / sdist.name.removesuffix(".tar.gz")
    (source / "build/lib/seqrec").mkdir(parents=True)
    (source / "build/lib/seqrec/gone.py").touch()
    done = run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", sdist.parent, source, cwd=sdist.parent
    )
    assert done.returncode == 0, done.stderr
    [built] = sdist.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path) -> Path:
    """The programs of a fresh environment with the wheel, which borrows what the wheel needs from this one's site-packages.

    The .pth files there, and with them an editable checkout, don't count.
    """
    folder = wheel.parent / "environment"
    assert run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent).returncode == 0
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder), "platbase": str(folder)}))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    done = run(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-deps", wheel, cwd=wheel.parent)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def test_the_wheel_holds_the_package_with_jobs_and_templates_and_nothing_beside_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {path for folder in ("seqrec", *INSIDE) for path in (ROOT / folder).rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for path in there if "__pycache__" not in path.parts}
    assert names == {name if name.startswith("seqrec/") else f"seqrec/{name}" for name in wanted}
    assert {"seqrec/conf/presets/sasrec.yaml", "seqrec/conf/log4j2.properties", "seqrec/jobs/train.py"} <= names


def test_the_source_distribution_can_be_run_and_tested_as_a_checkout(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    there = {path.relative_to(ROOT).as_posix() for folder in ("docs", "tests") for path in (ROOT / folder).rglob("*.*")}
    assert {name for name in there if "__pycache__" not in name} - names == set()
    assert {"spark-submit.sh", "Makefile", "constraints.txt", ".ci/run", "conf/train.yaml", "jobs/train.py"} <= names
    assert {name for name in names if name.startswith("deploy/")} >= {"deploy/env.example", "deploy/compose.yaml"}
    assert not {name for name in names if ".env" in name}  # a .env holds secrets


def test_nothing_but_the_package_can_be_imported(bin_folder: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.util as u, seqrec, seqrec.jobs.train; print(seqrec.__file__, u.find_spec('jobs'), u.find_spec('conf'))"
    )
    done = run(bin_folder / "python", "-c", code, cwd=tmp_path)
    file, *others = done.stdout.split()
    assert Path(file).is_relative_to(bin_folder.parent), done.stderr
    assert others == ["None", "None"]


def test_the_chain_runs_from_an_empty_folder(bin_folder: Path, tmp_path: Path) -> None:
    write_ratings(tmp_path / "ratings.csv", Simulation(users=80, items=120, events=1600, seed=1))
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {"SEQREC_ROOT": f"{tmp_path}/root", "MONGODB_URI": "none", "MILVUS_URI": "none", "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    module, script = [str(bin_folder / "python"), "-m", "seqrec"], [str(bin_folder / "seqrec")]
    jobs = {
        "build_sequences": [*script, "build_sequences", f"input.path={tmp_path}/ratings.csv"],
        "train": [*module, "train", *TINY],
        "export_onnx": [*module, "export_onnx"],
        "batch_recommend": [
            *module,
            "batch_recommend",
            "top_k=5",
            "--",
            "--master",
            "local[2]",
            "--conf",
            "spark.ui.enabled=false",
        ],
    }
    said = {}
    for job, command in jobs.items():
        done = run(*command, cwd=empty, **places)
        assert done.returncode == 0, done.stdout + done.stderr
        said[job] = done.stderr
    assert "next: python -m seqrec train\n" in said["build_sequences"]
    users = pyarrow.dataset.dataset(f"{versions.resolve(f'{tmp_path}/root/dataset')}/sequences").to_table()
    lists = pyarrow.dataset.dataset(f"{versions.resolve(f'{tmp_path}/root/output')}/recommendations").to_table()
    assert len(lists) == len(users) > 0
    assert list(empty.iterdir()) == list((tmp_path / "tmp").iterdir()) == []


def test_templates_can_be_copied_and_an_error_says_so(bin_folder: Path, tmp_path: Path) -> None:
    seqrec = bin_folder / "seqrec"
    assert "  train_ranker  " in run(seqrec, "--help", cwd=tmp_path).stdout
    missing = run(seqrec, "train", "--conf", "none.yaml", cwd=tmp_path)
    installed = bin_folder.parent / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages" / "seqrec" / "conf"
    remedy = "`python -m seqrec templates DIR` copies them to edit\n"
    assert missing.stderr == f"error: none.yaml: no such configuration file; the templates lie in {installed}, and {remedy}"
    unset = run(seqrec, "train", cwd=tmp_path)
    assert unset.stderr.startswith(f"error: SEQREC_ROOT is unset or empty, and {installed}/train.yaml needs it: ")
    copied = run(seqrec, "templates", "mine", cwd=tmp_path)
    assert (copied.returncode, copied.stdout.split(" files")[0]) == (0, f"copied {sum(1 for _ in installed.rglob('*.*'))}")
    assert (tmp_path / "mine/presets/sasrec.yaml").read_text() == (installed / "presets/sasrec.yaml").read_text()
    again = run(seqrec, "templates", "mine", cwd=tmp_path)
    assert again.stderr.startswith("error: mine/batch_recommend.yaml is there already, and may hold your changes")
    (tmp_path / "mine/train.yaml").write_text("data: ${SEQREC_ROOT}/dataset\nmodel: x\nmax_epoch: 3\n")
    wrong = run(seqrec, "train", "--conf", "mine/train.yaml", cwd=tmp_path, SEQREC_ROOT=str(tmp_path))
    assert "mine/train.yaml: unknown key max_epoch; did you mean max_epochs?" in wrong.stderr
