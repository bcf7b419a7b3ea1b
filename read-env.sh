# shellcheck shell=bash
# Reads .env, lines of KEY=value, for spark-submit.sh (sourced) and for make: `read-env.sh names`, `read-env.sh value KEY`.
# What the environment sets already stays. Values are never printed, but to make. No line is run as a command.

env_file=${SEQREC_ENV_FILE-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/.env} # SEQREC_ENV_FILE= is no file
env_names=() env_values=()

# An error of the file: the number of the line, and what is expected there; the value isn't shown.
env_fail() {
    echo "error: $env_file${1:+, line $1}: $2" >&2
    exit 1
}

# What is wrong with the file as a whole: others than its owner may read or write it.
check_env_file() {
    local mode
    [[ -f $env_file && -r $env_file ]] || env_fail "" "this is no file that can be read: make it one, or remove it"
    mode=$(stat -L -c %a "$env_file" 2>/dev/null || stat -L -f %Lp "$env_file")
    ((0$mode & 077)) || return 0
    env_fail "" "others may read or write it (mode $mode), and it may hold secrets: chmod 600 .env"
}

# The value of a line: in single quotes as it stands; in double quotes with \" and \\; else a word, before a comment.
env_value() {
    local text=$1 number=$2 end
    case $text in
        \'*)
            [[ $text =~ ^\'([^\']*)\'[[:space:]]*(#.*)?$ ]] || env_fail "$number" "expected one value in single quotes, KEY='value', and then nothing or a # comment"
            env_read=${BASH_REMATCH[1]}
            ;;
        \"*)
            end='^"(([^"\\]|\\.)*)"[[:space:]]*(#.*)?$'
            [[ $text =~ $end ]] || env_fail "$number" "expected one value in double quotes, KEY=\"value\", and then nothing or a # comment"
            env_read=${BASH_REMATCH[1]} end=
            while [[ $env_read == *\\* ]]; do
                end+=${env_read%%\\*} env_read=${env_read#*\\}
                case $env_read in
                    [\\\"\$]*) ;;
                    *) end+=\\ ;;
                esac
                end+=${env_read:0:1} env_read=${env_read:1}
            done
            env_read=$end$env_read
            ;;
        *)
            if [[ $text =~ (^|[[:space:]])# ]]; then text=${text%%"${BASH_REMATCH[0]}"*}; fi
            text=${text%"${text##*[![:space:]]}"}
            [[ $text != *[[:space:]\'\"]* ]] || env_fail "$number" "expected a value without blanks and quotes, or all of it in quotes, KEY='a b'"
            env_read=$text
            ;;
    esac
}

# The names and values of the file, into env_names and env_values.
parse_env() {
    local line number=0 key='^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$' known=" " env_read=
    [[ -n $env_file ]] || return 0
    if [[ ! -e $env_file && ! -L $env_file ]]; then
        [[ -z ${SEQREC_ENV_FILE-} ]] || env_fail "" "SEQREC_ENV_FILE names this file, which isn't there: mend the name, or set SEQREC_ENV_FILE= to read none"
        return 0
    fi
    check_env_file
    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1)) line=${line%$'\r'}
        [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
        [[ $line =~ $key ]] || env_fail "$number" "expected KEY=value, a # comment or an empty line; KEY has letters, digits and _, and no blank stands before ="
        local name=${BASH_REMATCH[2]} text=${BASH_REMATCH[3]}
        [[ $text != [[:space:]]* || $text =~ ^[[:space:]]*(#.*)?$ ]] || env_fail "$number" "$name= has a blank behind =: expected KEY=value without it"
        [[ $known != *" $name "* ]] || env_fail "$number" "$name is there twice: keep one of the lines"
        known+="$name "
        env_value "$text" "$number"
        env_names+=("$name") env_values+=("$env_read")
    done <"$env_file"
}

# Exports what the environment doesn't have yet, and the names of that as SEQREC_ENV_NAMES: the shell of the user lacks them.
read_env() {
    local place name own=${SEQREC_ENV_NAMES-}
    parse_env
    for place in "${!env_names[@]}"; do
        name=${env_names[place]}
        if [[ -z ${!name+set} ]]; then export "$name=${env_values[place]}" && own+="${own:+ }$name"; fi
    done
    export SEQREC_ENV_NAMES=$own
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    parse_env
    for place in "${!env_names[@]}"; do
        case $1 in
            names) echo "${env_names[place]}" ;;
            value) if [[ ${env_names[place]} == "$2" ]]; then printf '%s\n' "${env_values[place]}"; fi ;;
        esac
    done
fi
