"""A chain a day: the ratings up to the end of the day's interval into the lists of all users, and the newest day's published.

For Airflow 3. What the tasks read from the environment of the worker, and what may be secret, stands in docs/deployment.md:

    SEQREC_PYTHON    the Python of an environment with seqrec[train,stores]; /opt/seqrec/bin/python unless it is set
    SEQREC_RATINGS   where the ratings lie, those of all days
    SEQREC_ROOT      each day has a folder below it, YYYY-MM-DD, which is named by the end of the day's interval
    MONGODB_URI, MILVUS_URI, AWS_…   read by the jobs themselves

A task may be run again at any time, also one of an old day. No task asks what time it is: which ratings count and where results
lie follow from the interval alone. A job that failed or was killed has changed nothing that others read, and is begun anew; train
goes on from its last checkpoint. Only the newest day is published, so a day that is repeated later replaces no newer lists.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.latest_only import LatestOnlyOperator
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

COMMAND = """\
set -euo pipefail
: "${SEQREC_ROOT:?is not set in the environment of the worker}"
export SEQREC_ROOT="$SEQREC_ROOT/{{ data_interval_end | ds }}" SEQREC_VERBOSITY=quiet
exec env %(variables)s "${SEQREC_PYTHON:-/opt/seqrec/bin/python}" -m seqrec %(job)s
"""
RATINGS = '"input.path=${SEQREC_RATINGS:?is not set in the environment of the worker}"'
UNTIL = "'input.time_range=[1970-01-01, {{ data_interval_end | ts }}]'"
NO_STORES = "MONGODB_URI=none MILVUS_URI=none"  # publishing is a task of its own


def job(name: str, keys: str = "", *, variables: str = "", hours: int = 2) -> BashOperator:
    """A task that runs a job of seqrec, with its keys as the shell reads them."""
    command = COMMAND % {"variables": variables, "job": f"{name} {keys}".strip()}
    return BashOperator(task_id=name, bash_command=command, append_env=True, execution_timeout=timedelta(hours=hours))


with DAG(
    dag_id="seqrec_chain",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, 2, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["seqrec"],
):
    build_sequences = job("build_sequences", f"{RATINGS} {UNTIL}")
    train = job("train", "resume=same", hours=12)  # a new training where the dataset is new, else it goes on
    export_onnx = job("export_onnx")
    evaluate = job("evaluate", "popularity=true markov=true")
    batch_recommend = job("batch_recommend", "top_k=100", variables=NO_STORES)
    newest = LatestOnlyOperator(task_id="newest")
    publish = job("publish")

    build_sequences >> train >> export_onnx >> evaluate >> batch_recommend >> newest >> publish
