"""spark-submit.sh and the Makefile: what they check, pass on and leave behind."""

import errno
import fcntl
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from seqrec.submit.job_process import run_group
from seqrec.submit.main import main
from seqrec.submit.work_folder import work_folder

ROOT = Path(__file__).parents[2]
AWKWARD = ["a #b", "a: b", "it's", '"a"', "a\\b", "{a}", "[a]", "$HOME", "${SEQREC_ROOT}", "a&b", "50%", "ä→日", "*"]
TEMPLATE = """\
# ${NOT_NEEDED} stands in a comment
data: ${SEQREC_ROOT}/data
say: costs $HOME
"""
# A Spark that says what it was given: the checks need no JVM.
SPARK = """\
#!/usr/bin/env bash
printf '%s\\n' "$@" "memory=$SPARK_DRIVER_MEMORY" "java=$JAVA_HOME" "python=$PYSPARK_PYTHON"
echo "tmp=$TMPDIR" "spills=${SPARK_LOCAL_DIRS:-}" "root=$SEQREC_ROOT" "umask=$(umask)"
stat -c 'mode=%a' "$TMPDIR/.." "$TMPDIR/../seqrec.zip"
"""
JOB = """\
'''Says what it was given.'''
import sys, time
import seqrec
from pyspark.sql import SparkSession
from seqrec.command.screen import connect_streams
connect_streams()
print("the story", file=sys.stderr, flush=True)
spark = SparkSession.builder.getOrCreate()
print("rows", spark.range(3).count(), "argv", sys.argv[3:], "package", seqrec.__file__, flush=True)
if "sleep=1" in sys.argv:
    time.sleep(60)
sys.exit(7)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with one job, `echo`, and this project's script and package."""
    tree = tmp_path / "a project"
    (tree / "jobs").mkdir(parents=True)
    (tree / "conf").mkdir()
    shutil.copy(ROOT / "spark-submit.sh", tree)
    shutil.copy(ROOT / "conf" / "log4j2.properties", tree / "conf")
    (tree / "seqrec").symlink_to(ROOT / "seqrec")
    (tree / "conf" / "echo.yaml").write_text(TEMPLATE)
    (tree / "jobs" / "echo.py").write_text(JOB)
    return tree


@pytest.fixture
def dump(tree: Path) -> None:
    """A dump in the project, `copy`."""
    (tree / "dump").mkdir()
    (tree / "dump" / "__init__.py").touch()
    (tree / "dump" / "copy.py").write_text(JOB)


@pytest.fixture
def spark_home(tmp_path: Path) -> Path:
    """A Spark of Hadoop 3.9.1 that prints its arguments."""
    home = tmp_path / "spark"
    (home / "bin").mkdir(parents=True)
    (home / "jars").mkdir()
    (home / "jars" / "hadoop-client-api-3.9.1.jar").touch()
    (home / "bin" / "spark-submit").write_text(SPARK)
    (home / "bin" / "spark-submit").chmod(0o755)
    return home


def environment(tmp: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK", "SEQREC", "AWS"))}
    (tmp / "tmp").mkdir(exist_ok=True)
    own = {"PYSPARK_PYTHON": sys.executable, "SEQREC_ROOT": "/seq root", "TMPDIR": str(tmp / "tmp")}
    return {**kept, **own, "XDG_STATE_HOME": str(tmp / "state"), **more}


def submit(tree: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the script from another folder; nothing may be left in TMPDIR."""
    given = environment(tree.parent, **more)
    done = subprocess.run(
        [str(tree / "spark-submit.sh"), *arguments], env=given, cwd="/", capture_output=True, text=True, check=False
    )
    assert list((tree.parent / "tmp").iterdir()) == []
    return done


@pytest.mark.parametrize("name", AWKWARD)
def test_the_job_gets_its_template_and_the_environment_as_it_is(tree: Path, spark_home: Path, name: str) -> None:
    variables = {"SPARK_HOME": str(spark_home), "SPARK_DRIVER_MEMORY": "3g", "SEQREC_ROOT": f"/{name}"}
    done = submit(tree, "echo", "say=a  b;$c", **variables)
    said = done.stdout.splitlines()
    job = said.index(f"{tree}/jobs/echo.py")
    assert said[job + 1 : job + 4] == ["--conf", f"{tree}/conf/echo.yaml", "say=a  b;$c"]
    assert {"memory=3g", f"python={sys.executable}"} <= set(said)
    assert f" root=/{name} umask=0022" in done.stdout
    assert said[-2:] == ["mode=700", "mode=644"]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "error: SEQREC_ROOT is unset or empty, and conf/echo.yaml needs it: `export SEQREC_ROOT=…` first\n"),
        ("  ", "error: SEQREC_ROOT is blank: `export SEQREC_ROOT=…` with a value, or unset it\n"),
        ("/a\nb", "error: SEQREC_ROOT='/a\\nb' holds a line end or another control character: export it without\n"),
    ],
)
def test_a_variable_that_can_t_be_used_is_named(tree: Path, spark_home: Path, value: str, said: str) -> None:
    done = submit(tree, "echo", SPARK_HOME=str(spark_home), SEQREC_ROOT=value)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ecko"], "error: there is no job ecko; did you mean echo? jobs are: echo\n"),
        (["../echo"], "error: there is no job ../echo; did you mean echo? jobs are: echo\n"),
        (["echo", "--master", "x"], "error: --master stands before `--`: spark-submit's options come after it"),
        (
            ["echo", "--conf", "a=b"],
            "error: --conf a=b stands before `--` and names no FILE.yaml: spark-submit's options come after",
        ),
        (["echo", "--conf=none.yaml"], "error: none.yaml: no such configuration file; the templates lie in conf/"),
        (["echo", "--", "--deploy-mode", "cluster"], "error: --deploy-mode cluster: jobs read this machine's files"),
        (["echo", "--", "--deploy-mode=cluster"], "error: --deploy-mode cluster: jobs read this machine's files"),
        (["echo", "--", "--packages"], "error: --packages needs a value\n"),
    ],
)
def test_wrong_arguments_are_named(tree: Path, spark_home: Path, arguments: list[str], said: str) -> None:
    done = submit(tree, *arguments, SPARK_HOME=str(spark_home))
    assert done.stderr.startswith(said)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"JAVA_HOME": "/nowhere"}, "error: JAVA_HOME=/nowhere holds no bin/java"),
        ({"SPARK_HOME": "/nowhere"}, "error: SPARK_HOME=/nowhere holds no bin/spark-submit"),
        ({"PYSPARK_PYTHON": "/nowhere"}, "error: /nowhere: no such Python; run `make setup` first"),
        ({"PYSPARK_PYTHON": ""}, "error: {tree}/.venv/bin/python: no such Python; run `make setup` first"),
        ({"PYSPARK_PYTHON": "/bin/false"}, "error: /bin/false is no Python from 3.11 on: set PYSPARK_PYTHON to one"),
        ({"TMPDIR": "/nowhere"}, "error: TMPDIR=/nowhere is no folder that can be written: make it, or unset TMPDIR"),
        ({"TMPDIR": "/bin/false"}, "error: TMPDIR=/bin/false is no folder that can be written: make it, or unset TMPDIR"),
        ({"SEQREC_LOG_LEVEL": "LOUD"}, "error: SEQREC_LOG_LEVEL=LOUD is no level: use one of ALL, TRACE"),
        ({"SPARK_DRIVER_MEMORY": "lots"}, "error: SPARK_DRIVER_MEMORY=lots: use a size from 512m on, such as 4g"),
        ({"MILVUS_URI": " "}, "error: MILVUS_URI is blank"),
    ],
)
def test_what_is_missing_on_the_machine_is_named(tree: Path, variables: dict[str, str], said: str) -> None:
    done = submit(tree, "echo", **variables)
    assert done.stderr.startswith(said.format(tree=tree))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_s3_brings_its_packages_and_the_user_s_lists_are_joined(tree: Path, spark_home: Path) -> None:
    options = ["--", "--packages", "a:b:1", "--py-files=mine.zip", "--master", "spark://h:7077"]
    variables = {"SPARK_HOME": str(spark_home), "AWS_ENDPOINT_URL": "http://127.0.0.1:7070", "AWS_SECRET_ACCESS_KEY": "hidden"}
    said = submit(tree, "echo", "data=s3a://bucket/data", *options, **variables).stdout.splitlines()
    packages = said[said.index("--packages") + 1].split(",")
    assert packages[0] == "org.apache.hadoop:hadoop-aws:3.9.1"
    assert packages[1].startswith("org.apache.spark:spark-hadoop-cloud_2.13:")
    assert packages[2:] == ["a:b:1"]
    assert said[said.index("--py-files") + 1].endswith("/seqrec.zip,mine.zip")
    assert "spark.hadoop.fs.s3a.endpoint=http://127.0.0.1:7070" in said
    assert said.count("--packages") == said.count("--py-files") == 1
    assert said[said.index("--master") + 1] == "spark://h:7077"
    assert "hidden" not in "\n".join(said)


@pytest.mark.parametrize(
    ("root", "arguments", "packages"),
    [
        ("/data", [], False),
        ("s3a://bucket", [], True),
        ("s3://bucket", [], True),
        ("/data", ["data=s3://bucket/x"], True),
        ("/data", ["--conf", "{tree}/out.yaml"], True),
        ("s3://bucket", ["--", "--conf", "spark.hadoop.fs.s3.impl=com.amazon.ws.emr.hadoop.fs.EmrFileSystem"], False),
        ("s3a://bucket", ["--", "--conf", "spark.hadoop.fs.s3.impl=com.amazon.ws.emr.hadoop.fs.EmrFileSystem"], True),
    ],
)
def test_paths_of_s3_alone_bring_packages(tree: Path, spark_home: Path, root: str, arguments: list[str], packages: bool) -> None:
    (tree / "out.yaml").write_text("data: s3a://bucket/dataset\n")
    given = [argument.format(tree=tree) for argument in arguments]
    said = submit(tree, "echo", *given, SPARK_HOME=str(spark_home), SEQREC_ROOT=root).stdout
    assert ("hadoop-aws:3.9.1" in said) == packages
    assert f"{tree}/{'out' if '{tree}/out.yaml' in arguments else 'conf/echo'}.yaml" in said


def test_a_cluster_s_own_file_system_for_s3_is_kept(tree: Path, spark_home: Path) -> None:
    (tree / "core-site.xml").write_text("<property><name>fs.s3.impl</name><value>EmrFileSystem</value></property>")
    variables = {"SPARK_HOME": str(spark_home), "SEQREC_ROOT": "s3://bucket", "HADOOP_CONF_DIR": str(tree)}
    assert "--packages" not in submit(tree, "echo", **variables).stdout


def test_a_printed_line_runs_from_anywhere_the_code_that_it_was_printed_for(tree: Path, spark_home: Path) -> None:
    arguments = ["echo", "--conf", f"{tree}/it's.yaml", "say=a  b;$c", "--", "--master", "spark://h:7077"]
    (tree / "it's.yaml").write_text("data: x\n")
    variables = {"SPARK_HOME": str(spark_home), "SEQREC_ROOT": "s3a://it's/$HOME", "AWS_ENDPOINT_URL": "http://127.0.0.1:7070"}
    secrets = {
        "MONGODB_URI": "mongodb://u:hidden@h",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "MLFLOW_TRACKING_URI": "http://u:hidden@h",
    }
    run = submit(tree, *arguments, **variables, **secrets).stdout.splitlines()
    printed = submit(tree, "--print", *arguments, **variables, **secrets)
    assert (printed.returncode, len(printed.stdout.splitlines())) == (0, 1)
    assert "hidden" not in printed.stdout
    assert printed.stderr == (
        "not in the line, because they may hold secrets: "
        "set MONGODB_URI AWS_SECRET_ACCESS_KEY MLFLOW_TRACKING_URI where it runs\n"
    )
    job = (tree / "jobs" / "echo.py").read_text()
    (tree / "jobs" / "echo.py").write_text("changed")
    done = subprocess.run(
        ["sh", "-c", printed.stdout], env={"PATH": os.defpath}, cwd="/", capture_output=True, text=True, check=False
    )
    said = done.stdout.splitlines()
    script = said.index(f"{tree}/it's.yaml") - 2
    assert said[script + 1 : script + 4] == ["--conf", f"{tree}/it's.yaml", "say=a  b;$c"]
    assert Path(said[script]).read_text() == job
    kept = Path(said[script]).parent
    assert "seqrec/errors.py" in zipfile.ZipFile(kept / "seqrec.zip").namelist()
    assert said[said.index("--py-files") + 1] == f"{kept}/seqrec.zip"
    length = run.index(f"{tree}/it's.yaml") - 4  # the options but --py-files
    assert said[:length] == run[:length]
    assert {f"python={sys.executable}", next(line for line in run if line.startswith("memory="))} <= set(said)
    assert " root=s3a://it's/$HOME" in done.stdout
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_an_archive_of_java_s_classes_is_used_where_spark_has_one(tree: Path, spark_home: Path) -> None:
    (spark_home / "bin" / "spark-submit").write_text('#!/bin/sh\necho "$SPARK_SUBMIT_OPTS"\n')
    variables = {"SPARK_HOME": str(spark_home), "SPARK_SUBMIT_OPTS": "-Dmine=1"}
    assert "SharedArchiveFile" not in submit(tree, "echo", **variables).stdout
    (spark_home / "classes.jsa").touch()
    [said] = submit(tree, "echo", **variables).stdout.splitlines()
    assert said.startswith(f"'-Xlog:disable' '-XX:SharedArchiveFile={spark_home}/classes.jsa' '-D")
    assert said.endswith("' -Dmine=1")


def test_a_copy_of_the_code_stays_while_its_line_is_printed_or_run(tree: Path, spark_home: Path) -> None:
    lines, copies = {}, {}
    for version in ("run", "printed", "idle", "young", "unmarked"):
        (tree / "jobs" / "echo.py").write_text(f"# {version}")
        lines[version] = submit(tree, "--print", "echo", SPARK_HOME=str(spark_home)).stdout
        copies[version] = Path(shlex.split(lines[version].split("touch -c ")[1])[0]).parent
    for version, copy in copies.items():
        then = time.time() - (179 if version == "young" else 182) * 86400
        os.utime(copy / "used", (then, then))
    (copies["unmarked"] / "used").unlink()  # as where another program put a folder there
    subprocess.run(["sh", "-c", lines["run"]], env={"PATH": os.defpath}, cwd="/", check=False, capture_output=True)
    (tree / "jobs" / "echo.py").write_text("# printed")
    again = submit(tree, "--print", "echo", SPARK_HOME=str(spark_home))
    assert again.stdout == lines["printed"]
    idle = copies.pop("idle")
    removed = [line for line in again.stderr.splitlines() if line.startswith("removed")]
    assert removed == [f"removed {idle}, a copy of the code whose line was neither printed nor run for 180 days"]
    assert set(idle.parent.iterdir()) == set(copies.values())


@pytest.mark.usefixtures("dump")
def test_a_dump_gets_its_options_as_they_are(tree: Path, spark_home: Path) -> None:
    spark = (spark_home / "bin" / "spark-submit").read_text().splitlines()[1]
    (spark_home / "bin" / "spark-submit").write_text(f"#!/usr/bin/env bash\n{spark}\n")
    variables = {"SPARK_HOME": str(spark_home), "SEQREC_ROOT": "s3a://bucket"}
    done = submit(tree, "copy", "--origin", "a  b;$c", "--", "--master", "spark://h:7077", **variables)
    said = done.stdout.splitlines()
    job = said.index(f"{tree}/dump/copy.py")
    assert said[job + 1 : job + 3] == ["--origin", "a  b;$c"]
    assert said[job + 3].startswith("memory=")
    assert said.index("--master") < job
    assert "hadoop-aws:3.9.1" in done.stdout
    assert submit(tree, "kopy").stderr == "error: there is no job kopy; did you mean copy? jobs are: echo copy\n"


@pytest.mark.parametrize("words", [["templates", "mine"], ["run", "demo"]])
def test_print_runs_nothing_that_is_no_job(tree: Path, words: list[str]) -> None:
    done = submit(tree, "--print", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: --print prints the line of a job, and {words[0]} is none")
    assert not list(tree.parent.rglob("mine"))


def test_a_chain_names_the_packages_that_its_python_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pydantic" else object())
    monkeypatch.setattr("os.execv", lambda *words: pytest.fail("the chain was started"))
    with pytest.raises(SystemExit, match=f"error: {sys.executable} has no pydantic: run `make setup` first"):
        main(["run", "demo", "--dry-run"])


def test_a_folder_without_locks_is_taken_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, _: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("fcntl.flock", no_locks)
    with work_folder() as work:
        assert run_group(["touch", str(work.temporary / "made")], {}, work) == 0
        assert (work.temporary / "made").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_real_spark_is_quiet_and_the_job_s_streams_and_status_come_through(tree: Path) -> None:
    done = submit(tree, "echo", "--quiet", "x=1", "--", "--master", "local[1]")
    assert done.returncode == 7
    assert done.stdout.startswith("rows 3 argv ['--quiet', 'x=1'] package /")
    assert len(done.stdout.splitlines()) == 1
    assert "seqrec.zip/seqrec/__init__.py" in done.stdout
    assert done.stderr == "the story\nerror: echo ended with status 7\n"


def test_a_spark_that_can_t_say_why_it_ended_gets_one_line(tree: Path, spark_home: Path) -> None:
    unknown = "Error: Unrecognized option: --bogus\\n\\nUsage: spark-submit [options]\\n  --master"
    trace = (
        'Exception in thread "main" java.lang.Error\\n\tat x\\nCaused by: java.net.UnknownHostException: vm\\n\t... 17 more\\n'
    )
    ends = {
        "kill -9 $$": "137: it was killed, most often for want of",
        f"printf '{trace}' >&2; exit 1": "1: java.net.UnknownHostException: vm (log: ",
        f"printf '{unknown}' >&2; exit 1": "1: Unrecognized option",
    }
    for end, said in ends.items():
        (spark_home / "bin" / "spark-submit").write_text(f"#!/usr/bin/env bash\n{end}\n")
        done = submit(tree, "echo", SPARK_HOME=str(spark_home))
        assert done.stderr.startswith(f"error: echo ended with status {said}")
        assert (str(done.returncode), done.stdout, len(done.stderr.splitlines())) == (said.split(":")[0], "", 1)
    log = Path(done.stderr.rpartition(" (log: ")[2].removesuffix(")\n"))
    assert log.match(f"{tree.parent}/state/seqrec/echo-*.log")
    assert "Usage: spark-submit" in log.read_text()


def test_folders_of_killed_jobs_are_removed_and_those_of_others_stay(tree: Path, spark_home: Path) -> None:
    variables = environment(tree.parent, SPARK_HOME=str(spark_home))
    places = [tree.parent / "tmp" / f"seqrec.{name}" for name in ("killed", "living", "foreig")]
    for place in places:
        (place / "tmp" / "blockmgr-1").mkdir(parents=True)
    for place in places[:2]:
        (place / "lock").touch()
    with (places[1] / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run([str(tree / "spark-submit.sh"), "echo"], env=variables, capture_output=True, text=True, check=True)
    assert sorted((tree.parent / "tmp").iterdir()) == sorted(places[1:])
    assert done.stderr == f"removed {places[0]}, which a killed job left\n"


def test_a_kill_leaves_what_the_next_run_removes(tree: Path) -> None:
    command = [str(tree / "spark-submit.sh"), "echo", "sleep=1", "--", "--master", "local[1]"]
    with subprocess.Popen(command, env=environment(tree.parent), stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith("rows 3")
        [work] = (tree.parent / "tmp").iterdir()
        assert list(work.glob("tmp/blockmgr-*"))
        for line in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if f"TMPDIR={work}/tmp".encode() in line.read_bytes() and int(line.parent.name) != os.getpid():
                    os.kill(int(line.parent.name), signal.SIGKILL)
        started.kill()
    assert list((tree.parent / "tmp").iterdir()) == [work]
    assert submit(tree, "echo", SPARK_HOME="/bin").returncode == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_whole_job(tree: Path, number: int, status: int) -> None:
    command = [str(tree / "spark-submit.sh"), "echo", "sleep=1", "--", "--master", "local[1]"]
    with subprocess.Popen(
        command, env=environment(tree.parent), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith("rows 3")
        started.send_signal(number)
        started.communicate(timeout=30)
    assert started.returncode == status
    assert list((tree.parent / "tmp").glob("seqrec.*")) == []
    deadline = time.monotonic() + 10
    while (left := running(str(tree))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_a_signal_that_is_ignored_ends_nothing(tree: Path, spark_home: Path) -> None:
    """As nohup ignores SIGHUP: the job outlives the terminal that it was started from."""
    (spark_home / "bin" / "spark-submit").write_text("#!/usr/bin/env bash\necho started\nsleep 2\necho ended\n")
    command = ["nohup", str(tree / "spark-submit.sh"), "echo"]
    with subprocess.Popen(
        command,
        env=environment(tree.parent, SPARK_HOME=str(spark_home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "started\n"
        started.send_signal(signal.SIGHUP)
        assert started.communicate(timeout=30)[0] == "ended\n"
    assert started.returncode == 0


def test_modules_in_the_user_s_folder_are_not_taken_for_python_s(tree: Path, spark_home: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for name in ("yaml", "json", "seqrec", "random"):
        (tmp_path / "here" / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    command = [str(tree / "spark-submit.sh"), "echo"]
    variables = environment(tree.parent, SPARK_HOME=str(spark_home))
    done = subprocess.run(command, env=variables, cwd=tmp_path / "here", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def running(words: str) -> list[str]:
    """Command lines of processes that name the words."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in lines if words in line]


def test_help_needs_no_environment(tree: Path) -> None:
    done = submit(tree, "--help", SEQREC_ROOT="", JAVA_HOME="/nowhere")
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.splitlines()[0]
    assert (
        shown == "usage: ./spark-submit.sh JOB [--conf FILE.yaml] [--quiet | --verbose] [key=value …] [-- spark-submit options]"
    )
    assert "jobs:\n  echo  Says what it was given.\n\n" in done.stdout
    assert submit(tree).returncode == 2


def test_help_of_a_job_lists_its_keys() -> None:
    command = [str(ROOT / "spark-submit.sh"), "build_sequences", "--help"]
    done = subprocess.run(
        command, env={**os.environ, "PYSPARK_PYTHON": sys.executable}, capture_output=True, text=True, check=True
    )
    assert "  k_core.users = 5   least events of a user" in done.stdout


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_make_lists_its_commands() -> None:
    listed = {line.split()[0] for line in make("help").stdout.splitlines()}
    assert {"setup", "demo", "recommend", "stores", "test", "check", "bench", "clean", "help"} <= listed


@pytest.mark.parametrize("python", ["/nowhere/python3.11", "false"])
def test_set_up_names_a_python_that_is_not_there(python: str, tmp_path: Path) -> None:
    done = make("setup", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.stderr.startswith(
        f"error: {python} is not there: install Python 3.11, or say where it is: make setup PYTHON=/path"
    )
    assert done.returncode != 0
    assert not (tmp_path / "venv").exists()


def test_nothing_is_set_up_twice(tmp_path: Path) -> None:
    """The stamp that `make setup` leaves holds for the same pins and Python, and no longer for others."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    planned = make("--dry-run", "setup", f"VENV={tmp_path}").stdout
    stamp = planned[planned.index("touch ") :].split()[1]
    assert "pip install" in planned
    Path(stamp).touch()
    assert "pip install" not in make("--dry-run", "setup", f"VENV={tmp_path}").stdout
    assert "pip install" in make("--dry-run", "setup", f"VENV={tmp_path}", "PYTHON=false").stdout


@pytest.mark.parametrize("package", ["libgomp1", "chromium"])
def test_packages_are_installed_after_their_lists(package: str, tmp_path: Path) -> None:
    """Slim images have none."""
    planned = make("--dry-run", "test", f"VENV={tmp_path}").stdout
    [line] = [line for line in planned.splitlines() if f"apt-get install -y -qq {package}" in line]
    assert "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install" in line


def test_scripts_can_be_run() -> None:
    for script in ("spark-submit.sh", ".ci/run"):
        assert (ROOT / script).stat().st_mode & stat.S_IXUSR
