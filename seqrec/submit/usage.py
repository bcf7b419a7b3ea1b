"""What `python -m seqrec --help` prints."""

from seqrec.command.installation import in_checkout, program
from seqrec.submit.scripts import scripts

USAGE = """\
usage: {program} JOB [--conf FILE.yaml] [--quiet | --verbose] [key=value …] [-- spark-submit options]
       {program} write_mongo|write_milvus --origin TABLE --dest COLLECTION … [-- spark-submit options]
       {program} build_sequences --dry-run input.path=FILE      how a file of ratings is read; writes nothing
       {program} run CHAIN [--dry-run] [STEP.key=value …]      the stale steps of a chain of jobs: run --help
       {program} JOB --help        the job's keys or options, their defaults and what they mean
       {program} --print JOB …     the whole spark-submit line, for a scheduler, of a copy of the code that stays; runs nothing
       {program} templates DIR     copies of the templates, presets and spaces, to edit and to name by --conf

Runs {jobs}JOB.py with {conf}JOB.yaml, or FILE.yaml, whose variables are filled from the environment; key=value sets a
key over the template's, e.g. {program} train preset=gsasrec optimizer.lr=5e-4 -- --master spark://host:7077
A value is a word as it stands (null is none, \\t a tab), a list [a, b], a mapping {{a: b}}, or quoted: 'a, b'

jobs:
{listed}

environment, which in a checkout a file .env of KEY=value lines may set too:
  SEQREC_ROOT               where data, models and outputs lie: a folder, file://, hdfs:// or s3a://
  MONGODB_URI, MILVUS_URI   mongodb://… and http://…, embedded, or none (jobs that publish); MILVUS_TOKEN where one is needed
  MLFLOW_TRACKING_URI       an MLflow server, where each job is a run
  AWS_ENDPOINT_URL          an S3 server other than Amazon's; keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  MLFLOW_TRACKING_URI       an MLflow in which each job is a run (the extra track); MLFLOW_EXPERIMENT_NAME (seqrec)
  SPARK_HOME, PYSPARK_PYTHON, JAVA_HOME, SPARK_DRIVER_MEMORY   taken from {python} and this machine unless set
  SEQREC_LOG_LEVEL          what of Spark's log comes to the screen: nothing unless set, else ERROR, WARN, INFO or DEBUG
  TMPDIR                    where temporary files lie, Spark's too; removed when the job ends (/tmp)
  XDG_STATE_HOME            where logs lie, in its folder seqrec (~/.local/state)
"""


def usage() -> str:
    """The usage, with the jobs that there are, a line each."""
    known = scripts()
    width = max(map(len, known), default=0)
    listed = "\n".join(f"  {name:{width}}  {script.summary}".rstrip() for name, script in known.items())
    checkout = in_checkout()
    jobs, conf = ("jobs/", "conf/") if checkout else ("", "its template ")
    python = ".venv" if checkout else "this Python"
    return USAGE.format(program=program(), jobs=jobs, conf=conf, listed=listed, python=python)
