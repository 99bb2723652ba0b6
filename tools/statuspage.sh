#!/usr/bin/env bash
# The status page's own tools: `tools/statuspage.sh build` makes the files that the server serves and the types of its client,
# `check` lints and checks types. Node comes with the Python packages; `make setup-test` brings the rest.
set -euo pipefail
cd "$(dirname "$0")/../statuspage"

if [ ! -d node_modules ]; then
  if [ "$1" = check ] && [ -z "${CI:-}" ]; then
    echo "The status page is not checked: its npm packages are not installed (make setup-test)."
    exit 0
  fi
  echo "The npm packages of the status page are missing: make setup-test" >&2
  exit 1
fi

case ${1:-} in
  build)
    npm run --silent client
    npm run --silent build
    ;;
  check) npm run --silent check ;;
  *) echo "build or check?" >&2; exit 2 ;;
esac
