#!/usr/bin/env bash
# Runs a job of jobs/ with its template of conf/, or a dump of dump/ with its options: ./spark-submit.sh --help
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cloud_committer=org.apache.spark:spark-hadoop-cloud_2.13:4.0.1
not_for_s3=( # what the committer's package brings for other clouds, and Hadoop anew
    org.apache.hadoop:hadoop-cloud-storage org.apache.hadoop:hadoop-azure org.apache.hadoop:hadoop-client-api
    org.apache.hadoop:hadoop-client-runtime com.google.cloud.bigdataoss:gcs-connector com.microsoft.azure:azure-storage
)

fail() {
    echo "error: $*" >&2
    exit 1
}

list_jobs() {
    local file name names=()
    for file in "$root"/conf/*.yaml "$root"/dump/[a-z]*.py; do
        name=$(basename "${file%.*}")
        if [[ -f $root/jobs/$name.py || -f $root/dump/$name.py ]]; then names+=("$name"); fi
    done
    echo "${names[*]}"
}

usage() {
    cat <<HELP
usage: ./spark-submit.sh JOB [--conf FILE.yaml] [--quiet | --verbose] [key=value …] [-- spark-submit options]
       ./spark-submit.sh write_mongo|write_milvus --origin TABLE --dest COLLECTION … [-- spark-submit options]
       ./spark-submit.sh build_sequences --dry-run input.path=FILE      how a file of ratings is read; writes nothing
       ./spark-submit.sh JOB --help        the job's keys or options, their defaults and what they mean
       ./spark-submit.sh --print JOB …     the whole spark-submit line, for a scheduler, of a copy of the code that stays; runs nothing

Runs jobs/JOB.py with conf/JOB.yaml, or FILE.yaml, whose variables are filled from the environment; key=value sets a key over the
template's, e.g. ./spark-submit.sh train preset=gsasrec optimizer.lr=5e-4 -- --master spark://host:7077
A value is a word as it stands (null is none, \t a tab), a list [a, b], a mapping {a: b}, or quoted: 'a, b'

jobs: $(list_jobs)

environment:
  SEQREC_ROOT               where data, models and outputs lie: a folder, file://, hdfs:// or s3a://
  MONGODB_URI, MILVUS_URI   mongodb://… and http://…, embedded, or none (jobs that publish); MILVUS_TOKEN where one is needed
  AWS_ENDPOINT_URL          an S3 server other than Amazon's; keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  SPARK_HOME, PYSPARK_PYTHON, JAVA_HOME, SPARK_DRIVER_MEMORY   taken from .venv and this machine unless set
  SEQREC_LOG_LEVEL          what of Spark's log comes to the screen: nothing unless set, else ERROR, WARN, INFO or DEBUG
  TMPDIR                    where temporary files lie, Spark's too; removed when the job ends (/tmp)
  XDG_STATE_HOME            where logs lie, in its folder seqrec (~/.local/state)
HELP
}

find_python() {
    export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$root/.venv/bin/python}
    export PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-$PYSPARK_PYTHON}
    command -v "$PYSPARK_DRIVER_PYTHON" >/dev/null ||
        fail "$PYSPARK_DRIVER_PYTHON: no such Python; run \`make setup\` first, or set PYSPARK_PYTHON"
    "$PYSPARK_DRIVER_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$PYSPARK_DRIVER_PYTHON is no Python from 3.11 on: set PYSPARK_PYTHON to one, or unset it"
    [[ $(locale charmap 2>/dev/null) == UTF-8 ]] || export LC_ALL=C.UTF-8 # Java's names of files are in the locale's characters
    export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} SEQREC_HOME=$root
}

find_spark() {
    if [[ -z ${SPARK_HOME:-} ]]; then
        SPARK_HOME=$("$PYSPARK_DRIVER_PYTHON" -c 'import os.path, pyspark; print(os.path.dirname(pyspark.__file__))') ||
            fail "$PYSPARK_DRIVER_PYTHON has no pyspark: run \`make setup\` first, or set SPARK_HOME"
        export SPARK_HOME
    fi
    [[ -x $SPARK_HOME/bin/spark-submit ]] || fail "SPARK_HOME=$SPARK_HOME holds no bin/spark-submit: set it to Spark's folder, or unset it"
    local settings="$(quoted "-Dlog4j2.configurationFile=$root/conf/log4j2.properties")"
    if [[ -n $work ]]; then settings+=" $(quoted "-Djava.io.tmpdir=$work/tmp")"; fi
    export SPARK_SUBMIT_OPTS="$settings ${SPARK_SUBMIT_OPTS:-}"
}

# In single quotes, as spark-submit reads SPARK_SUBMIT_OPTS.
quoted() {
    echo "'${1//\'/\'\"\'\"\'}'"
}

# --conf names a file of keys before `--`; after it, it is spark-submit's.
check_keys_file() {
    [[ $1 == *.yaml || $1 == *.yml ]] ||
        fail "--conf ${1:-} stands before \`--\` and names no FILE.yaml: spark-submit's options come after it, as in … -- --conf ${1:-NAME=VALUE}"
    [[ -f $1 ]] || fail "$1: no such configuration file; the templates lie in conf/"
}

check_environment() {
    local lines
    [[ -n ${SEQREC_LOG_LEVEL:-} ]] || unset SEQREC_LOG_LEVEL
    lines=$("$PYSPARK_DRIVER_PYTHON" -m seqrec.command.environment "$1" "$2") || exit 1
    export JAVA_HOME=${lines%$'\n'*} SEQREC_LOG=${lines#*$'\n'}
}

# The job's temporary files lie below one folder, which goes with the job. It is locked while a process of the job lives, so that
# the next job knows which folders were left by jobs that were killed.
make_work_folder() {
    local parent=${TMPDIR:-/tmp} folder
    [[ -d $parent && -w $parent && -x $parent ]] || fail "TMPDIR=$parent is no folder that can be written: make it, or unset TMPDIR"
    [[ $parent != *[,#]* ]] || fail "TMPDIR=$parent: Spark's lists can't hold a comma or a # in a name; choose another folder"
    parent=$(cd "$parent" && pwd)
    work=$(mktemp -d "$parent/seqrec.XXXXXX" 2>/dev/null) && mkdir "$work/tmp" 2>/dev/null ||
        fail "no folder can be made in $parent: free space there, or set TMPDIR to another folder"
    export TMPDIR=$work/tmp
    command -v flock >/dev/null || return 0
    exec 9>"$work/.lock"
    flock -n 9 && mv "$work/.lock" "$work/lock"
    for folder in "$parent"/seqrec.??????; do
        if [[ -O $folder && -f $folder/lock && $folder != "$work" ]] && (flock -n 8 && rm -rf "$folder") 8<"$folder/lock"; then
            echo "removed $folder, which a killed job left" >&2
        fi
    done
}

# Spark starts the job's Python with both of its streams joined into the JVM's stdout. Pipes past the JVM keep results and story
# apart, and tell the job which of them a terminal shows. The script holds them open until the job has ended.
open_streams() {
    local size streams=$work/streams
    mkdir "$streams" && mkfifo "$streams/stdout" "$streams/stderr" 2>/dev/null || return 0
    exec 6<>"$streams/stdout" 7<>"$streams/stderr" 4<"$streams/stdout" 5<"$streams/stderr"
    (trap '' INT TERM HUP && exec cat) <&4 4<&- 5<&- 6>&- 7>&- &
    (trap '' INT TERM HUP && exec cat) <&5 >&2 4<&- 5<&- 6>&- 7>&- &
    exec 4<&- 5<&-
    if [[ -t 1 ]]; then touch "$streams/stdout.terminal"; fi
    if [[ -t 2 ]]; then
        touch "$streams/stderr.terminal"
        size=$(stty size <&2 2>/dev/null) && export COLUMNS=${size#* }
    fi
    export SEQREC_STREAMS=$streams
}

close_streams() {
    exec 6>&- 7>&-
    wait
}

# What Spark spills and shuffles lies in the job's folder too, unless the user says which disk.
keep_spills() {
    local defaults=${SPARK_CONF_DIR:-$SPARK_HOME/conf}/spark-defaults.conf
    if [[ -z ${SPARK_LOCAL_DIRS:-} && " $* " != *spark.local.dir* ]] && ! grep -qs '^[[:space:]]*spark\.local\.dir' "$defaults"; then
        export SPARK_LOCAL_DIRS=$work/tmp
    fi
}

# A quarter of the memory, 1 to 8 GiB: the driver's Python and, on a local master, the workers need the rest.
default_memory() {
    local bytes limit
    bytes=$("$PYSPARK_DRIVER_PYTHON" -c 'import os; print(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))')
    limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
    if [[ $limit != max ]] && ((limit < bytes)); then bytes=$limit; fi
    local mib=$((bytes / 4 / 1024 / 1024))
    echo "$((mib < 1024 ? 1024 : mib > 8192 ? 8192 : mib))m"
}

# spark-submit takes a list option once: what the user lists is joined to what the script lists.
collect_options() {
    while (($#)); do
        case $1 in
            --packages=* | --py-files=* | --deploy-mode=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
            --packages | --py-files | --deploy-mode) (($# > 1)) || fail "$1 needs a value" ;;
        esac
        case $1 in
            --packages) packages+=("$2") && shift 2 ;;
            --py-files) py_files+=("$2") && shift 2 ;;
            --deploy-mode)
                [[ $2 == client ]] || fail "--deploy-mode $2: jobs read this machine's files and environment; leave it out"
                shift 2
                ;;
            *) options+=("$1") && shift ;;
        esac
    done
}

# Whether the template, SEQREC_ROOT or an argument has a path of S3 that needs Hadoop's package. s3:// means s3a://, unless this Spark
# has a file system of its own for it, as on EMR.
needs_s3() {
    local words defaults=${SPARK_CONF_DIR:-$SPARK_HOME/conf}/spark-defaults.conf
    words=$(cat "$1" && printf '%s\n' "${SEQREC_ROOT:-}" "${@:2}")
    if [[ $words == *s3a://* ]]; then return 0; fi
    [[ $words == *s3://* && $* != *fs.s3.impl* ]] && ! grep -qs 'fs\.s3\.impl' "$defaults" "${HADOOP_CONF_DIR:-/etc/hadoop/conf}/core-site.xml"
}

# The Hadoop package of Spark's own Hadoop, the committer that S3 needs for whole tables, and limits to its patience: Hadoop's own
# add up to hours for a server that refuses each request or never answers. The user's --conf overrides what is set here.
add_s3() {
    local jar version=
    for jar in "$SPARK_HOME"/jars/hadoop-client-api-*.jar; do
        version=${jar##*/hadoop-client-api-}
        version=${version%.jar}
    done
    [[ -n $version && $version != "*" ]] || fail "$SPARK_HOME/jars has no hadoop-client-api jar that says which Hadoop s3a:// needs"
    packages+=("org.apache.hadoop:hadoop-aws:$version" "$cloud_committer")
    options+=(
        --exclude-packages "$(join "${not_for_s3[@]}")"
        --conf spark.hadoop.fs.s3a.committer.name=magic
        --conf spark.sql.sources.commitProtocolClass=org.apache.spark.internal.io.cloud.PathOutputCommitProtocol
        --conf spark.sql.parquet.output.committer.class=org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter
        --conf spark.hadoop.fs.s3a.directory.operations.purge.uploads=true
        --conf spark.hadoop.fs.s3a.attempts.maximum=2
        --conf spark.hadoop.fs.s3a.retry.limit=4
        --conf spark.hadoop.fs.s3a.retry.interval=500ms
        --conf spark.hadoop.fs.s3a.retry.throttle.limit=5
        --conf spark.hadoop.fs.s3a.retry.throttle.interval=500ms
        --conf spark.hadoop.fs.s3a.connection.establish.timeout=15s
        --conf spark.hadoop.fs.s3a.connection.timeout=20s
        --conf spark.hadoop.fs.s3a.connection.request.timeout=20s
    )
    if [[ -n ${AWS_ENDPOINT_URL:-} ]]; then
        options+=(
            --conf "spark.hadoop.fs.s3a.endpoint=$AWS_ENDPOINT_URL"
            --conf "spark.hadoop.fs.s3a.endpoint.region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}}"
            --conf spark.hadoop.fs.s3a.path.style.access=true
        )
    fi
}

zip_package() {
    (cd "$root" && "$PYSPARK_DRIVER_PYTHON" - "$1") <<'PYTHON'
import pathlib, sys, zipfile

with zipfile.ZipFile(sys.argv[1], "w") as archive:
    for module in sorted(pathlib.Path("seqrec").rglob("*.py")):
        archive.write(module)
PYTHON
}

# A copy of the package and of the job's script, in a folder named by their content: a line that was printed runs the code that it was
# printed for, whatever becomes of this tree. The template, the presets and log4j2.properties are read where they lie. A line that is
# printed or run touches `used` in its copy; a copy whose `used` is untouched for 180 days is removed.
keep_code() {
    local folder=$root/.seqrec/submit made name old
    made=$(mkdir -p "$folder" && mktemp -d "$folder/new.XXXXXX") && zip_package "$made/seqrec.zip" && cp "$1" "$made/" && chmod 755 "$made" ||
        fail "$folder can't be written: the printed line needs a copy of the code that stays; free space there, or let it be written"
    name=$(cat "$made"/* | cksum | tr -d ' ')
    if [[ -d $folder/$name ]]; then rm -rf "$made"; else mv "$made" "$folder/$name"; fi
    touch "$folder/$name/used"
    find "$folder" -mindepth 2 -maxdepth 2 -name used -mtime +180 | while read -r old; do
        rm -rf "${old%/used}" && echo "removed ${old%/used}, a copy of the code whose line was neither printed nor run for 180 days" >&2
    done
    echo "$folder/$name"
}

# The line that a scheduler runs, from any folder and with an environment that has no more than what may be secret: of a copy of the
# code, and a command.
print_line() {
    local name line="cd $(shell_word "$PWD") && (touch -c $(shell_word "$1/used") || true) && env" secret=()
    export SEQREC_LOG_LEVEL=${SEQREC_LOG_LEVEL:-ERROR} LC_ALL=${LC_ALL:-${LANG:-C.UTF-8}} # a scheduler keeps stderr; cron has no locale
    for name in SEQREC_HOME SEQREC_ROOT SEQREC_LOG_LEVEL JAVA_HOME SPARK_HOME SPARK_CONF_DIR HADOOP_CONF_DIR YARN_CONF_DIR SPARK_LOCAL_DIRS \
        SPARK_DRIVER_MEMORY SPARK_SUBMIT_OPTS PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON AWS_ENDPOINT_URL AWS_REGION AWS_DEFAULT_REGION TMPDIR LC_ALL; do
        if [[ -n ${!name:-} ]]; then line+=" $name=$(shell_word "${!name}")"; fi
    done
    for name in "${@:2}"; do line+=" $(shell_word "$name")"; done
    echo "$line"
    for name in MONGODB_URI MILVUS_URI MILVUS_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; do
        if [[ -n ${!name:-} ]]; then secret+=("$name"); fi
    done
    if ((${#secret[@]})); then echo "not in the line, because they may hold secrets: set ${secret[*]} where it runs" >&2; fi
}

# A word as a shell reads it.
shell_word() {
    if [[ $1 =~ ^[A-Za-z0-9_./:=@%+,-]+$ ]]; then echo "$1"; else echo "'${1//\'/\'\\\'\'}'"; fi
}

# Runs in a process group of its own, so that a signal to this script reaches Spark's JVM and the job's Python alike.
run_group() {
    local group signal status=0
    set -m
    "$@" </dev/null 6>&- 7>&- &
    group=$!
    set +m
    for signal in INT TERM HUP; do
        # shellcheck disable=SC2064 # the group is known now
        trap "kill -$signal -- -$group 2>/dev/null || true" "$signal"
    done
    wait "$group" || status=$?
    while kill -0 "$group" 2>/dev/null; do
        status=0
        wait "$group" || status=$?
    done
    return "$status"
}

# A job says itself why it failed, where it can: not where Spark didn't start, or where the JVM or the job's Python was killed.
say_end() {
    local cause= logged= noise='Using incubator modules'
    if (($2 == 0)); then return 0; fi
    if grep -qv "$noise" "$work/stderr" 2>/dev/null; then grep -v "$noise" "$work/stderr" 2>/dev/null >>"$SEQREC_LOG" || true; fi
    if [[ -e $work/said ]] || (($2 == 2 || $2 == 129 || $2 == 130 || $2 == 143)); then return 0; fi
    cause=$(grep -m 1 -E 'Exception|Error' "$work/stderr" 2>/dev/null | sed -E 's/^Exception in thread "[^"]*" //; s/^Error: //' | cut -c 1-300 || true)
    if (($2 == 137)); then cause="it was killed, most often for want of memory: free some, or take a smaller SPARK_DRIVER_MEMORY or smaller batches"; fi
    if [[ -s $SEQREC_LOG ]]; then logged=" (log: $SEQREC_LOG)"; fi
    echo "error: $1 ended with status $2${cause:+: $cause}$logged" >&2
}

join() {
    local IFS=,
    echo "$*"
}

main() {
    local printing=
    if [[ ${1:-} == --print ]]; then printing=1 && shift; fi
    case ${1:-} in
        -h | --help) usage && exit 0 ;;
        "") usage >&2 && exit 2 ;;
    esac
    local job=$1 script=$root/jobs/$1.py template=$root/conf/$1.yaml arguments=(--conf "$root/conf/$1.yaml") status=0 code
    shift
    if [[ $job =~ ^[a-z0-9_]+$ && -f $root/dump/$job.py ]]; then
        script=$root/dump/$job.py template=/dev/null arguments=()
    fi
    [[ $job =~ ^[a-z0-9_]+$ && -e $template && -f $script ]] || fail "there is no job $job; jobs are: $(list_jobs)"
    find_python
    while (($#)) && [[ $1 != -- ]]; do
        if [[ $1 == --conf=* ]]; then set -- --conf "${1#*=}" "${@:2}"; fi
        if [[ $1 == --conf && $template != /dev/null ]]; then
            check_keys_file "${2:-}"
            template=$2 arguments[1]=$2
            shift 2
            continue
        fi
        case $1 in
            -h | --help) "$PYSPARK_DRIVER_PYTHON" "$script" --help && exit 0 ;;
            -q | --quiet | -v | --verbose) ;;
            --dry-run) export SEQREC_ROOT=${SEQREC_ROOT:-$PWD} ;; # nothing is written there
            -*) [[ $template == /dev/null ]] || fail "$1 stands before \`--\`: spark-submit's options come after it, as in ./spark-submit.sh $job -- $1 …" ;;
        esac
        arguments+=("$1")
        shift
    done
    check_environment "$job" "$template"
    if [[ -z $printing ]]; then make_work_folder; fi
    find_spark
    if [[ -n $printing ]]; then
        code=$(keep_code "$script") && script=$code/$job.py
    else
        code=$work
        zip_package "$code/seqrec.zip" 2>/dev/null || fail "$code can't be written: free space there, or set TMPDIR to another folder"
    fi
    if needs_s3 "$template" "${arguments[@]}" "$@"; then add_s3; fi
    collect_options "${@:2}"
    if [[ -z $printing ]]; then keep_spills "${options[@]}"; fi
    if [[ -z $printing && -t 2 && ${packages[*]} == *hadoop-aws* ]] && ! compgen -G "${HOME:-~}/.ivy2*/jars/org.apache.hadoop_hadoop-aws-*" >/dev/null; then
        echo "fetching Spark's packages for S3, about 1 GB, once" >&2
    fi
    if ((${#packages[@]})); then options+=(--packages "$(join "${packages[@]}")"); fi
    options+=(--py-files "$(join "$code/seqrec.zip" "${py_files[@]}")")
    export SPARK_DRIVER_MEMORY=${SPARK_DRIVER_MEMORY:-$(default_memory)} SEQREC_SAID=$work/said
    if [[ -n $printing ]]; then print_line "$code" "$SPARK_HOME/bin/spark-submit" "${options[@]}" "$script" "${arguments[@]}" && exit 0; fi
    if [[ -n ${SEQREC_LOG_LEVEL:-} ]]; then exec 3>&2; else exec 3>"$work/stderr"; fi
    open_streams
    run_group "$SPARK_HOME/bin/spark-submit" "${options[@]}" "$script" "${arguments[@]}" 2>&3 || status=$?
    close_streams
    say_end "$job" "$status"
    exit "$status"
}

work=
trap 'rm -rf "$work"' EXIT
packages=() py_files=() options=()
main "$@"
