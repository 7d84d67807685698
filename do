#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The one entry for people: ./do VERB [ARGUMENTS]; ./do help lists the verbs.
#
# A verb is a function `do_VERB`; the line before it, `## text`, is its help.
# On Debian and Ubuntu a verb first installs the packages that it needs and
# that are missing; elsewhere it names the commands that are missing.
set -euo pipefail
cd "$(dirname "$0")"

python=/usr/bin/python3
[[ -x $python ]] || python=python3

build_packages=(gcc libc6-dev meson ninja-build pkg-config python3 libdw-dev
    libssl-dev
    libhttp-parser-dev)
test_packages=("${build_packages[@]}" libcmocka-dev gdb python3-dev curl
    netcat-openbsd wrk socat openssl iproute2 python3-pytest python3-mypy
    python3-httpx python3-nest-asyncio python3-aiohttp)
# Installing a server starts it on some machines: that is for CI's.
[[ ${CI:-} ]] && test_packages+=(nginx-light redis-server redis-tools
    postgresql python3-asyncpg python3-uvicorn python3-websockets
    python3-tornado python3-distributed)
bench_packages=("${build_packages[@]}" libuv1-dev libev-dev libevent-dev
    golang-go python3-dev python3-uvloop valgrind strace wrk openssl)

python_packages=(gcc libc6-dev meson ninja-build python3 python3-dev
    python3-venv)

# A package whose command is there counts as installed, wherever it is from.
declare -A command_of=(
    [gcc]=gcc [meson]=meson [ninja-build]=ninja [pkg-config]=pkg-config
    [python3]=python3 [gdb]=gdb [golang-go]=go [valgrind]=valgrind
    [strace]=strace [curl]=curl [wrk]=wrk [nginx-light]=/usr/sbin/nginx
    [redis-server]=redis-server [redis-tools]=redis-cli
    [socat]=socat [iproute2]=ip [openssl]=openssl [netcat-openbsd]=nc
    [clang]=clang [clang-format]=clang-format
    [gcc-aarch64-linux-gnu]=aarch64-linux-gnu-gcc [qemu-user]=qemu-aarch64)

say() {
    echo "do: $*" >&2
}

has_package() {
    local command=${command_of[$1]-}

    if [[ $command ]]; then
        command -v "$command" >/dev/null
    elif command -v dpkg-query >/dev/null; then
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>&1) == installed ]]
    fi
}

apt() {
    local as=()

    [[ $(id -u) == 0 ]] || as=(sudo)
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >&2
}

# Sees to it that these packages are there; quick when they are.
need() {
    local missing=() package

    for package; do
        has_package "$package" || missing+=("$package")
    done
    [[ ${#missing[@]} == 0 ]] && return 0
    if ! command -v apt-get >/dev/null; then
        say "please install (by Debian's names): ${missing[*]}"
        exit 1
    fi
    if [[ $(id -u) != 0 ]] && ! command -v sudo >/dev/null; then
        say "please install, as root: apt-get install ${missing[*]}"
        exit 1
    fi
    say "installing ${missing[*]}"
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt update
    apt install --no-install-recommends "${missing[@]}" ||
        { apt update && apt install --no-install-recommends "${missing[@]}"; }
}

# Configures a build folder once: configure FOLDER [OPTION...]
configure() {
    [[ -f $1/build.ninja ]] || meson setup "$@"
}

# Builds a folder and runs its tests: run_tests FOLDER [ARGUMENT...]
run_tests() {
    local folder=$1 status=0

    shift
    meson compile -C "$folder"
    rm -f "$folder"/meson-logs/testlog*.json
    meson test -C "$folder" --no-rebuild --logbase testlog --print-errorlogs \
        "$@" || status=$?
    "$python" tools/count_tests "$folder"/meson-logs/testlog*.json || status=1
    return "$status"
}

# The folder of a variant: build/asan, or build/asan-clang with CC=clang.
folder_of() {
    local cc=${CC:-cc}

    cc=${cc##*/}
    [[ $cc == cc || $cc == gcc ]] && echo "build/$1" || echo "build/$1-$cc"
}

# Times the limits of the tests, unless the caller chose.
slow_down() {
    export ROTA_TEST_SLOWNESS=${ROTA_TEST_SLOWNESS:-$1}
}

sanitize() {
    local folder sanitizers=$2

    need "${test_packages[@]}"
    [[ ${CC:-} != clang ]] || need clang
    folder=$(folder_of "$1")
    shift 2
    configure "$folder" "-Db_sanitize=$sanitizers" -Db_lundef=false \
        -Dc_args=-fno-sanitize-recover=all
    run_tests "$folder" --timeout-multiplier "$ROTA_TEST_SLOWNESS" \
        --no-suite unwatched "$@"
}

# Makes build/venv, unless it is there, for an interpreter.
make_venv() {
    local version made_for

    made_for="$1, $("$1" --version)"
    if [[ $(cat build/venv/made-for 2>/dev/null) != "$made_for" ]]; then
        rm -rf build/venv build/package
        "$1" -m venv --system-site-packages build/venv
        echo "$made_for" >build/venv/made-for
    fi
    # Without distutils, from Python 3.12 on, it takes a newer meson.
    version=$(meson --version)
    if [[ $version != 1.[3-9]* && $version != 1.[1-9][0-9]* ]] &&
        ! "$1" -W ignore -c 'import distutils' 2>/dev/null; then
        build/venv/bin/pip install -q 'meson>=1.3'
    fi
}

# The package with CPython's own tests, for an interpreter of Debian's.
testsuite_of() {
    "$1" -c 'import sys
print("libpython%d.%d-testsuite" % sys.version_info[:2])'
}

c_files() {
    find . \( -name build -o -name target \) -prune -o -name '*.[ch]' -print
}

free_port() {
    "$python" -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# Waits until somebody listens on a port of this machine.
wait_for_port() {
    for _ in {1..100}; do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.05
    done
    say "nobody listens on port $1"
    return 1
}

## the library and the examples, into build/
do_build() {
    need "${build_packages[@]}"
    configure build
    meson compile -C build
}

# Runs a command, which is shown, and tells how long it took.
timed() {
    local start end status=0

    echo "\$ $*"
    start=$(date +%s%N)
    "$@" || status=$?
    end=$(date +%s%N)
    printf 'elapsed: %d.%03d s\n' $(((end - start) / 1000000000)) \
        $(((end - start) / 1000000 % 1000))
    return "$status"
}

## fetch two pages that take two seconds each, both at once: in C, in Python
do_demo() {
    local port page status=0

    do_build
    do_python -c 'import rota'
    port=$(free_port)
    build/examples/delay_server "$port" &
    server=$!
    trap 'kill "$server" 2>/dev/null' EXIT
    wait_for_port "$port"
    page=http://127.0.0.1:$port/delay/2
    timed build/examples/fetch_slow "$page" "$page" || status=$?
    timed build/venv/bin/python -m rota examples/python/fetch_slow.py \
        "$page" "$page" || status=$?
    return "$status"
}

## the test-suite; arguments go to meson test (./do test timer loop)
do_test() {
    [[ ${1:-} != --root ]] || exec \
        tools/root "${2:?trixie or sid}" ./do test "${@:3}"
    need "${test_packages[@]}"
    need "$(testsuite_of "$python")"
    configure build
    run_tests build "$@"
}

# The table of Python's loops: [--root trixie|sid] [ARGUMENT...]
bench_python() {
    local folder=build/release options=() suffix

    [[ ${1:-} != --root ]] ||
        exec tools/root "${2:?trixie or sid}" ./do bench python "${@:3}"
    need gcc libc6-dev meson ninja-build pkg-config libssl-dev openssl \
        python3-dev python3-uvloop
    if [[ ${PYTHON:-} ]]; then
        folder+=-${PYTHON##*/}
        options+=("-Dinterpreter=$PYTHON")
    fi
    suffix=$("${PYTHON:-$python}" -c \
        'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    configure "$folder" -Dbuildtype=release -Doptimization=2 "${options[@]}"
    ninja -C "$folder" bench/{load,hold,transfer,accept,peer_limit} \
        "bench/limit_loop$suffix" "python/rota/_core$suffix"
    "$python" bench/run.py --build "$folder" python "$@"
}

## the benchmarks beside their peers (./do bench python: beside its loops)
do_bench() {
    if [[ ${1:-} == python ]]; then
        bench_python "${@:2}"
        return
    fi
    need "${bench_packages[@]}"
    configure build/release -Dbuildtype=release -Doptimization=2
    meson compile -C build/release
    "$python" bench/run.py --build build/release "$@"
}

## format, house rules, and clang-tidy and shellcheck where installed
do_check() {
    need clang-format "${build_packages[@]}"
    c_files | xargs clang-format --dry-run -Werror
    "$python" tools/check
    "$python" tools/check --self-test | sed '/^ok\|^1\.\./d'
    if command -v shellcheck >/dev/null; then
        shellcheck ./do .ci/run
    fi
    if command -v clang-tidy >/dev/null; then
        configure build
        find src -name '*.c' -print0 | xargs -0 clang-tidy --quiet -p build
    fi
    echo "check: all is well"
}

## rewrite the C files as clang-format wants them
do_format() {
    need clang-format
    c_files | xargs clang-format -i
}

## the test-suite under AddressSanitizer and UBSan (CC=clang works too)
do_asan() {
    slow_down 4
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    sanitize asan address,undefined "$@"
}

## the test-suite under ThreadSanitizer (CC=clang works too)
do_tsan() {
    slow_down 10
    export TSAN_OPTIONS=${TSAN_OPTIONS:-die_after_fork=0}
    sanitize tsan thread "$@"
}

## the test-suite under valgrind
do_valgrind() {
    need "${test_packages[@]}" valgrind
    slow_down 20
    # Python's tests have options of their own: see python/tests/meson.build.
    export ROTA_TEST_UNDER=valgrind PYTHONMALLOC=malloc
    export VALGRIND_OPTS='-q --error-exitcode=99 --leak-check=full
        --errors-for-leak-kinds=definite --show-leak-kinds=definite'
    configure build/valgrind
    run_tests build/valgrind --timeout-multiplier 20 \
        --no-suite check --no-suite unwatched --wrapper valgrind "$@"
}

## tests/test_schedules* with 20,000 seeds under ASan and UBSan, or some
do_torture() {
    local file

    if [[ $# == 0 ]]; then
        for file in tests/test_schedules*.c; do
            file=${file##*/test_}
            set -- "$@" "${file%.c}"
        done
    fi
    slow_down 200
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    export ROTA_TEST_SCHEDULES=${ROTA_TEST_SCHEDULES:-20000}
    sanitize asan address,undefined "$@"
}

## explore the targets of tests/fuzz: ./do fuzz [SECONDS [TARGET...]]
do_fuzz() {
    local seconds=${1:-60} targets=("${@:2}") target status=0

    need "${test_packages[@]}" clang
    CC=clang configure build/fuzz -Dfuzz=true -Db_lundef=false \
        -Db_sanitize=address,undefined -Dc_args='-fsanitize=fuzzer-no-link
            -fno-sanitize-recover=all'
    [[ ${targets[*]} ]] || targets=(address stream tls)
    for target in "${targets[@]}"; do
        meson compile -C build/fuzz "fuzz_$target"
        mkdir -p "build/fuzz/corpus/$target"
        "build/fuzz/tests/fuzz/fuzz_$target" -max_total_time="$seconds" \
            -timeout=60 -max_len=1000 -len_control=0 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/$target-" \
            "build/fuzz/corpus/$target" || status=1
    done
    return "$status"
}

## CPython's tests of asyncio: [--root trixie|sid] [MODULE...]
do_cpython() {
    local folder=build/release suffix

    [[ ${1:-} != --root ]] || exec \
        tools/root "${2:?trixie or sid}" ./do cpython "${@:3}"
    need gcc libc6-dev meson ninja-build pkg-config libssl-dev python3-dev \
        "$(testsuite_of "$python")"
    suffix=$("$python" -c \
        'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    configure "$folder" -Dbuildtype=release -Doptimization=2
    ninja -C "$folder" "python/rota/_core$suffix"
    PYTHONPATH=$PWD/$folder/python PYTHONDONTWRITEBYTECODE=1 \
        "$python" tools/run_cpython_suite.py --loop rota:Loop --jobs 2 \
        --exceptions python/tests/cpython_exceptions.txt "$@"
}

## the test-suite built with clang
do_clang() {
    need "${test_packages[@]}" clang
    CC=clang configure build/clang
    run_tests build/clang "$@"
}

## the test-suite on each poller
do_pollers() {
    local poller status=0

    need "${test_packages[@]}"
    configure build
    for poller in epoll poll sim; do
        echo "ROTA_POLLER=$poller"
        # Python's programs want real time.
        [[ $poller != sim ]] || set -- "$@" --no-suite python
        ROTA_POLLER=$poller run_tests build "$@" || status=1
    done
    return "$status"
}

## the test-suite built for AArch64 and run by qemu
do_aarch64() {
    need "${build_packages[@]}" gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
        qemu-user
    slow_down 10
    export ROTA_TEST_UNDER=qemu
    configure build/aarch64 --cross-file tools/aarch64.ini -Dtls=disabled
    run_tests build/aarch64 --timeout-multiplier 10 --no-suite check "$@"
}

## compile for macOS and FreeBSD with zig: nothing runs
do_kqueue() {
    local zig=(zig) target file files status=0

    if ! command -v zig >/dev/null; then
        need python3-venv
        zig=(build/zig/bin/python -m ziglang)
        [[ -d build/zig ]] || "$python" -m venv build/zig
        "${zig[@]}" version >/dev/null 2>&1 ||
            build/zig/bin/pip install -q ziglang
    fi
    mkdir -p build
    # Without those that need OpenSSL's headers, which zig does not bring.
    mapfile -t files < <(find src -name '*.c' \
        -exec grep -L '"transport/tls.h"' {} +)
    for target in aarch64-macos x86_64-macos x86_64-freebsd; do
        for file in "${files[@]}"; do
            "${zig[@]}" cc -target "$target" -std=gnu11 -Wall -Wextra -Werror \
                -Iinclude -Isrc -c "$file" -o build/zig-out.o ||
                { status=1 && say "$file does not compile for $target"; }
        done
        echo "$target: ${#files[@]} files"
    done
    return "$status"
}

## install the library: ./do install --prefix DIR
do_install() {
    need "${build_packages[@]}"
    configure build/release -Dbuildtype=release -Doptimization=2
    [[ $# == 0 ]] || meson configure build/release "$@"
    meson install -C build/release
}

## the Python package into build/venv, and run its Python (--root trixie|sid)
do_python() {
    local interpreter=${PYTHON:-$python}

    if [[ ${1:-} == --root ]]; then
        exec tools/root "${2:?trixie or sid}" ./do python "${@:3}"
    fi
    if [[ ${PYTHON:-} ]]; then
        need gcc libc6-dev meson ninja-build
    else
        need "${python_packages[@]}"
    fi
    if ! interpreter=$(command -v "$interpreter"); then
        say "there is no ${PYTHON:-$python}"
        exit 1
    fi
    make_venv "$interpreter"
    local -x PATH=$PWD/build/venv/bin:$PATH
    configure build/package -Dbuildtype=release -Donly_python=true \
        -Dtls=disabled -Dinterpreter="$PWD/build/venv/bin/python" \
        -Dpython.install_env=venv >&2
    ninja --quiet -C build/package >&2
    meson install -C build/package --no-rebuild --quiet --only-changed >&2
    if [[ $# == 0 ]]; then
        echo 'build/venv/bin/python -m rota SCRIPT'
    else
        build/venv/bin/python "$@"
    fi
}

## a wheel of the Python package into build/wheels (--root trixie|sid)
do_wheel() {
    local how=() wheel

    [[ ${1:-} != --root ]] || exec \
        tools/root "${2:?trixie or sid}" ./do wheel "${@:3}"
    need patchelf
    if [[ ! ${PYTHON:-} ]]; then
        need "${python_packages[@]}" python3-pip python3-mesonpy
        how=(--no-build-isolation --no-index)
    fi
    if [[ ! -w . ]]; then # as in another Debian
        rm -rf build/wheel
        how+=(--config-settings builddir=build/wheel)
    fi
    "${PYTHON:-$python}" -m pip wheel --no-deps "${how[@]}" -w build/wheels .
    for wheel in build/wheels/*-linux_*.whl; do
        if ! command -v auditwheel >/dev/null; then
            say "$wheel: no auditwheel is at hand, for this system alone"
        elif auditwheel repair --wheel-dir build/wheels "$wheel"; then
            rm "$wheel"
        fi
    done
    ls build/wheels
}

## remove all that was built
do_clean() {
    rm -rf build
}

## this list
do_help() {
    echo 'usage: ./do VERB [ARGUMENTS]'
    awk '/^## / { help = substr($0, 4) }
        /^do_/ { sub(/^do_/, ""); sub(/\(.*/, "")
                 printf "  %-10s %s\n", $0, help }' ./do
}

verb=${1:-help}
if ! declare -F "do_$verb" >/dev/null; then
    say "no verb '$verb'"
    do_help >&2
    exit 2
fi
"do_$verb" "${@:2}"
