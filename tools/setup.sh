#!/usr/bin/env bash
# Prepares a checkout: `tools/setup.sh run` what `make run` needs (Python and its packages, nothing else),
# `dev` the Python tools as well, `test` also the servers, the browser and the npm tools that tests use,
# `slow` also what makes root filesystems.
# Everything comes from Debian's packages, the Python index (hashes required) and the npm registry.
# A stamp in .venv makes the second call instant; it changes with the locks and with this file.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?run, dev, test or slow}
python=${PYTHON:-python3}
venv=.venv

run_packages=(python3 python3-venv ca-certificates)
test_packages=(postgresql rabbitmq-server postfix dovecot-imapd dovecot-lmtpd dnsmasq-base nginx chromium fonts-dejavu-core procps strace mobile-broadband-provider-info)
slow_packages=(mmdebstrap debian-archive-keyring systemd-container)

say() { printf 'set-up: %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs what is missing of the packages named; asks nothing, starts no daemon.
apt_install() {
  local missing=() package guard=/usr/sbin/policy-rc.d made_guard=no status=0
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing by apt: ${missing[*]}"
  if [ ! -e $guard ]; then
    # Tests start their own servers on their own ports; Debian would start the system's.
    printf '#!/bin/sh\nexit 101\n' | as_root tee $guard >/dev/null
    as_root chmod 755 $guard
    made_guard=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=900 update >&2 || status=$?
  if [ $status = 0 ]; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=900 -o Acquire::Retries=3 \
      install --no-install-recommends "${missing[@]}" >&2 || status=$?
  fi
  if [ $made_guard = yes ]; then as_root rm -f $guard; fi
  return $status
}

has_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

python_is_usable() {
  "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

digest() { cat "$@" | sha256sum | cut -d' ' -f1; }

# stamped NAME DIGEST: is the stamp of that name the one of this state?
stamped() { [ "$(cat "$venv/.$1" 2>/dev/null)" = "$2" ]; }

pip_install() {
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps "$@"
}

setup_run() {
  local state
  state=$(digest tools/setup.sh pyproject.toml requirements/device.lock requirements/server.lock requirements/build.lock)
  if stamped run "$state" && [ -x $venv/bin/lokole ]; then return; fi
  if ! python_is_usable; then
    if has_apt; then apt_install "${run_packages[@]}"; fi
    python_is_usable || { say "Python 3.11 or newer with venv is needed; PYTHON=… names another one."; exit 1; }
  fi
  [ -x $venv/bin/python ] || "$python" -m venv $venv
  say "installing the Python packages of box and server"
  pip_install -r requirements/device.lock -r requirements/server.lock -r requirements/build.lock
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
  echo "$state" >$venv/.run
}

setup_dev() {
  setup_run
  local state
  state=$(digest tools/setup.sh requirements/dev.lock)
  if stamped dev "$state" && [ -x $venv/bin/pytest ]; then return; fi
  say "installing the Python packages of tests and checks"
  pip_install -r requirements/dev.lock
  echo "$state" >$venv/.dev
}

setup_test() {
  setup_dev
  # it asks NetworkManager itself what a line for it means; on somebody's own machine that would take over the network
  if [ -n "${CI:-}" ]; then test_packages+=(network-manager); fi
  if has_apt; then
    apt_install "${test_packages[@]}"
  else
    say "no apt here: tests that need ${test_packages[*]} skip themselves where one is missing"
  fi
  local state
  state=$(digest package.json package-lock.json .npmrc)
  if [ "$(cat node_modules/.lokole 2>/dev/null)" != "$state" ]; then
    say "installing the npm tools of tests"
    PATH="$PWD/$venv/bin:$PATH" "$venv/bin/npm" ci --no-progress --loglevel=error >&2
    echo "$state" >node_modules/.lokole
  fi
  state=$(digest statuspage/package.json statuspage/package-lock.json statuspage/.npmrc)
  if [ "$(cat statuspage/node_modules/.lokole 2>/dev/null)" != "$state" ]; then
    say "installing what the status page is built and tested with"
    (cd statuspage && PATH="$PWD/../$venv/bin:$PATH" npm ci --no-progress --loglevel=error >&2)
    echo "$state" >statuspage/node_modules/.lokole
  fi
}

setup_slow() {
  setup_test
  if has_apt; then apt_install "${slow_packages[@]}"; fi
}

case $what in
  run) setup_run ;;
  dev) setup_dev ;;
  test) setup_test ;;
  slow) setup_slow ;;
  *) say "what? run, dev, test or slow"; exit 2 ;;
esac
