#!/usr/bin/env bash
# Make .venv in the checkout from the hash-pinned lock, and install missing programs of the native
# stack. Arguments: groups whose packages to install. Repeatable; concurrent runs wait for one another.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$root"

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

[ "$(uname -s)" = Linux ] || fail "this runs on Linux: use a virtual machine (README.md, prerequisites)"
has flock || fail "flock is missing: install the package util-linux"
exec 9<"$root/deploy/local/bootstrap.sh"
flock -w 900 9 || fail "another set-up of this checkout has not ended after 15 minutes"

engine_answers() { has docker && timeout 10 docker info >/dev/null 2>&1; }

wants_native() {
    case "${STACK:-}" in
        native) return 0 ;;
        compose) return 1 ;;
        *) ! engine_answers ;;
    esac
}

# The distribution's Python is preferred to another one on PATH: it is built with profile-guided optimisation,
# which one that was built from source usually lacks; that costs a third more CPU (docs/performance.md).
python=/usr/bin/python3
suits() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
suits "$python" || python=python3

has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has initdb; }
# WITH_BROWSER: only the tests that open pages need one, so only they install it.
lacks_browser() {
    [ -n "${WITH_BROWSER:-}" ] && ! has chromium && ! has chromium-browser && ! has google-chrome
}

# WITH_JDK: only the tests that compile an example in Java need a compiler.
lacks_compiler() { [ -n "${WITH_JDK:-}" ] && ! has javac; }

# WITH_TOKEN: only the tests and the benchmark of keys in a PKCS#11 token need one of software.
lacks_token() { [ -n "${WITH_TOKEN:-}" ] && ! has softhsm2-util; }
# A lock with PyICU: it has no binary package for Linux, and is built against ICU's headers.
groups=" $* "
lacks_icu() {
    local lock
    for lock in deploy/locks/*.lock; do
        case "$groups" in *" all "* | *" $(basename -s .lock "$lock") "*) ;; *) continue ;; esac
        grep -q '^pyicu==' "$lock" || continue
        has g++ && has pkg-config && pkg-config --exists icu-i18n || return 0
        [ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h" ] || return 0
    done
    return 1
}

missing_packages() {
    suits "$python" || say "python3 python3-venv"
    if lacks_browser; then say chromium; fi
    if lacks_token; then say softhsm2; fi
    if lacks_icu; then say "g++ libicu-dev pkg-config python3-dev"; fi
    wants_native || return 0
    has_postgres || say postgresql
    has redis-server || has valkey-server || say redis-server
    has java || say openjdk-17-jre-headless
    if lacks_compiler; then say openjdk-17-jdk-headless; fi
    has mvn || say maven
}

# Debian starts an installed service, which would take its usual port. A policy that refuses (101) is
# in place during the installation; the previous one is restored.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    if [ -e "$policy" ]; then mv "$policy" "$policy.countersign"; fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap allow_services EXIT
}
allow_services() {
    rm -f "$policy"
    if [ -e "$policy.countersign" ]; then mv "$policy.countersign" "$policy"; fi
}

install_packages() {
    say "installing: $*"
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >"$log" 2>&1 \
        && apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 "$@" >>"$log" 2>&1 \
        || { tail -n 15 "$log" >&2; fail "apt-get could not install: $*"; }
    # It must not start at the next boot, either.
    for unit in redis-server postgresql; do
        case " $* " in
            *" $unit "*) if has systemctl; then systemctl disable "$unit" >>"$log" 2>&1 || true; fi ;;
        esac
    done
    allow_services
    trap - EXIT
}

ensure_packages() {
    local missing
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "${missing// /}" ] || return 0
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        fail "please install ${missing% } (Debian's names), or start a Docker engine, and try again"
    fi
    log=$(mktemp)
    # Checkouts on this machine wait for one another; each checks again when its turn comes.
    exec 8>/run/lock/countersign-packages.lock
    flock -w 900 8 || fail "another installation has not ended after 15 minutes"
    missing=$(missing_packages | tr '\n' ' ')
    # shellcheck disable=SC2086
    [ -z "${missing// /}" ] || install_packages $missing
    exec 8>&-
    rm -f "$log"
}

members() { dirname {libs,services,deploy}/*/pyproject.toml benchmarks/pyproject.toml; }

fingerprint() {
    { say "$root"; "$python" -VV; cat requirements.lock deploy/local/bootstrap.sh; \
      for member in $(members); do say "$member"; cat "$member/pyproject.toml"; done; } | sha256sum
}

# The installer comes from the lock, too: this prints its block of hashes.
locked_uv() { awk '/^uv==/ {on=1} /^[^ #]/ && !/^uv==/ {on=0} on' requirements.lock; }

install_python() {
    suits "$python" || fail "Python 3.11 or newer with venv is needed, python3 is $(python3 -V 2>&1)"
    say "making .venv from requirements.lock"
    rm -f .venv/stamp .venv/stamp-*
    # Its scripts contain the paths of the folder and of the interpreter.
    local made_for
    made_for="$root $("$python" -VV)"
    if [ "$(cat .venv/made-for 2>/dev/null)" != "$made_for" ]; then
        "$python" -m venv .venv --clear
        say "$made_for" >.venv/made-for
    fi
    locked_uv >.venv/uv.lock
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r .venv/uv.lock
    .venv/bin/uv pip sync -q --compile-bytecode --require-hashes requirements.lock \
        --python .venv/bin/python
    local editable=()
    for member in $(members); do editable+=(-e "$member"); done
    .venv/bin/uv pip install -q --no-deps --no-build-isolation "${editable[@]}" \
        --python .venv/bin/python
}

ensure_python() {
    local now
    now=$(fingerprint)
    if [ "$(cat .venv/stamp 2>/dev/null)" = "$now" ]; then return 0; fi
    install_python
    say "$now" >.venv/stamp
}

# Install the packages of a lock, of a group's by default, that are not in requirements.lock, into the same .venv.
ensure_group() {
    local lock=${2:-deploy/locks/$1.lock} now
    [ -f "$lock" ] || return 0
    now=$(sha256sum <"$lock")
    if [ "$(cat ".venv/stamp-$1" 2>/dev/null)" = "$now" ]; then return 0; fi
    say "installing the packages of $1 from $lock"
    .venv/bin/uv pip install -q --no-deps --require-hashes -r "$lock" --python .venv/bin/python
    say "$now" >".venv/stamp-$1"
}

# WITH_NODE: only the tests and checks of the TypeScript client need its tools. WITH_WALLET: a system
# that starts has the wallet page. `if-there`: where Node.js is, and without it the set-up goes on.
wants_npm() {
    [ -n "$1" ] || return 1
    if has npm && has node; then return 0; fi
    [ "$1" = if-there ] || fail "Node.js 20 or newer with npm is missing: install nodejs and npm (Debian's names)"
    return 1
}

ensure_tools() {
    local home=$1 now
    now=$(cat "$home/package.json" "$home/package-lock.json" | sha256sum)
    if [ "$(cat "$home/node_modules/stamp" 2>/dev/null)" = "$now" ]; then return 0; fi
    say "installing the tools of $home from its package-lock.json"
    (cd "$home" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) \
        || { say "npm could not install them: run make setup where npm reaches its registry" >&2; return 1; }
    say "$now" >"$home/node_modules/stamp"
}

ensure_typescript() {
    if wants_npm "${WITH_NODE:-}"; then ensure_tools clients/typescript; fi
}

ensure_wallet() {
    local home=clients/wallet now
    [ -n "${WITH_WALLET:-}" ] || return 0
    mkdir -p $home/dist # containers mount it
    if ! wants_npm "$WITH_WALLET"; then return 0; fi
    if ! ensure_tools $home; then [ "$WITH_WALLET" = if-there ]; return; fi
    now=$(find $home/src $home/build.js $home/package-lock.json clients/typescript/src -type f \
        ! -name openapi.ts -print0 | sort -z | xargs -0 cat | sha256sum)
    if [ "$(cat $home/dist/stamp 2>/dev/null)" = "$now" ]; then return 0; fi
    say "building $home"
    (cd $home && npm run --silent build) || fail "$home could not be built"
    chmod -R a+rX $home/dist # of a clone made under umask 077, for a container
    say "$now" >$home/dist/stamp
}

ensure_packages
ensure_python
ensure_typescript
ensure_wallet
case " $* " in *" all "*) set -- $(basename -s .lock -a deploy/locks/*.lock) ;; esac
for group in "$@"; do ensure_group "$group"; done
# WITH_TRAINING: only training and its tests need its packages; no service does.
if [ -n "${WITH_TRAINING:-}" ]; then ensure_group training deploy/training/requirements.lock; fi
