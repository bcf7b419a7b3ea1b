#!/usr/bin/env bash
# Runs a job of jobs/ with its template of conf/, or a dump of dump/ with its options, by the Python of .venv or PYSPARK_PYTHON:
# ./spark-submit.sh --help. What it does is written in seqrec/submit.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
    echo "error: $*" >&2
    exit 1
}

if [[ -f $root/read-env.sh ]]; then
    # shellcheck source=read-env.sh
    source "$root/read-env.sh"
    read_env
elif [[ -e $root/.env ]]; then
    fail "$root/.env can't be read without read-env.sh beside it: copy that from where this script comes from"
fi
python=${PYSPARK_DRIVER_PYTHON:-${PYSPARK_PYTHON:-$root/.venv/bin/python}}
command -v "$python" >/dev/null || fail "$python: no such Python; run \`make setup\` first, or set PYSPARK_PYTHON"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is no Python from 3.11 on: set PYSPARK_PYTHON to one, or unset it"
export SEQREC_HOME=$root PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} PYSPARK_PYTHON=${PYSPARK_PYTHON:-$python}
exec "$python" -P -m seqrec "$@"
