#!/usr/bin/env bash
# `lokole local` in the background: start (waits until it is ready), logs, stop.
# Process id and log lie in the data folder of the checkout ($DATA, .lokole unless told otherwise).
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-.lokole}
pid_file=$data/pid
log=$data/log
# Seconds: a first start makes keys, databases and two people, on slow machines too.
patience=${PATIENCE:-120}

# The process id of ours, or nothing. A number that the system has given to another program meanwhile is not ours.
running() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'lokole local' || return 1
  echo "$pid"
}

start() {
  local pid waited=0
  if pid=$(running); then
    echo "Lokole runs already (process $pid)."
    return
  fi
  mkdir -p "$data"
  # It shows passwords of demo people, for the eyes of whoever started it.
  (umask 077 && : >"$log")
  # A session of its own, so that the end of the terminal or of make is not the end of Lokole.
  # shellcheck disable=SC2086
  setsid .venv/bin/lokole local --data "$data/data" --demo ${OPTIONS:-} >>"$log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$pid_file"
  until grep -qx ready "$log"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 20 "$log" >&2
      echo "Lokole did not start; the lines above say why." >&2
      rm -f "$pid_file"
      exit 1
    fi
    if [ "$waited" -ge $((patience * 5)) ]; then
      tail -n 20 "$log" >&2
      echo "Lokole is not ready after $patience seconds; it goes on in the background." >&2
      exit 1
    fi
    sleep 0.2
    waited=$((waited + 1))
  done
  cat "$log"
}

logs() {
  local pid
  if [ ! -e "$log" ]; then
    echo "No log yet: make start"
    return
  fi
  # Only a person at a terminal waits for more; a script would wait for ever.
  if [ -t 1 ] && pid=$(running); then
    tail -n 40 --pid "$pid" -f "$log"
  else
    tail -n 40 "$log"
  fi
}

stop() {
  local pid waited=0
  if ! pid=$(running); then
    rm -f "$pid_file"
    echo "Lokole does not run."
    return
  fi
  # Not the signal of Ctrl-C: a shell without job control makes its background children deaf to it.
  kill -TERM "$pid"
  while kill -0 "$pid" 2>/dev/null; do
    if [ "$waited" -eq 200 ]; then kill -KILL "$pid" 2>/dev/null || true; fi
    sleep 0.1
    waited=$((waited + 1))
  done
  rm -f "$pid_file"
  echo "Lokole has stopped."
}

case ${1:-} in
  start | logs | stop) "$1" ;;
  *) echo "start, logs or stop?" >&2; exit 2 ;;
esac
