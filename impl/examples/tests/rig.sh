# Sourced by the checks: both endpoints on this machine, joined by a socket, and what the checks share.  $build is set.
# shellcheck shell=bash

dir=$(mktemp -d)
pids=()
finish() {
    local status=$?
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    # What a sanitizer says of a program in the background fails the check, too.
    ! grep -hE 'Sanitizer|runtime error:' "$dir"/*.err >&2 2>/dev/null || status=1
    rm -rf "$dir"
    exit "$status"
}
trap finish EXIT
export VPC_RUNTIME_DIR=$dir/runtime

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# until_true COMMAND...: for ten seconds.
until_true() {
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    fail "never: $*"
}

# says FILE TEXT: waits until it is there.
says() {
    until_true grep -qF -- "$2" "$1"
}

# ends STATUS COMMAND...: how a command must end; its output is in $dir/out and $dir/err.
ends() {
    local want=$1 status=0
    shift
    "$@" >"$dir/out" 2>"$dir/err" || status=$?
    [[ $status == "$want" ]] || fail "status $status, not $want: $*: $(head -c 500 "$dir/out" "$dir/err")"
}

guest_endpoint() {
    "$build/vpc-guest" --bus "listen:$dir/bus" --runtime-dir "$dir/guest" --tag EXAMPLES 2>"$dir/guest.err" &
    guest=$!
    pids+=("$guest")
}

host_endpoint() {
    "$build/vpc-host" --vm vm1 --bus "$dir/bus" 2>>"$dir/host.err" &
    host=$!
    pids+=("$host")
}

endpoints() {
    guest_endpoint
    host_endpoint
    "$build/vpcctl" wait-ready vm1 --timeout 20
}

# server NAME PROGRAM ARGUMENT...: a program of the guest on a port that the system chooses: $port; its process: $server.
server() {
    local name=$1
    shift
    rm -f "$dir/$name.port"
    impl/examples/tests/listen.py "$dir/$name.port" "$build/guest/$1" "${@:2}" 2>"$dir/$name.err" &
    server=$!
    pids+=("$server")
    until_true test -e "$dir/$name.port"
    port=$(<"$dir/$name.port")
}

me=$(id -un)
