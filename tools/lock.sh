#!/usr/bin/env bash
# Remakes requirements/*.lock (and with --npm the npm lock). The development lock comes first;
# the others take its versions, so that what is tested is what a box and a server get.
# `tools/lock.sh --upgrade` takes the newest versions that pyproject.toml allows.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile() {
  local out=$1
  shift
  "$uv" pip compile pyproject.toml --quiet --generate-hashes --universal --python-version 3.11 \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o "$out" "$@"
}
compile requirements/dev.lock --extra device --extra server --extra celery --extra servicebus --extra telemetry --group dev "$@"
compile requirements/device.lock --extra device -c requirements/dev.lock
compile requirements/server.lock --extra server -c requirements/dev.lock
# what a server with a broker installs beside server.lock
compile requirements/celery.lock --extra celery -c requirements/dev.lock
compile requirements/servicebus.lock --extra servicebus -c requirements/dev.lock
compile requirements/telemetry.lock --extra telemetry -c requirements/dev.lock
# What builds the project itself, so that set-up downloads nothing without a hash.
"$uv" pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
  --custom-compile-command "make lock" -o requirements/build.lock --group build -c requirements/dev.lock
