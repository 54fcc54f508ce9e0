# Sourced by the scripts that start servers. The servers write to $scratch. When the script exits, the servers are stopped
# and the directory is deleted.

scratch=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap cleanup EXIT

# wait_for "name" command…: retries the command for up to twenty seconds, until it succeeds
wait_for() {
  local what=$1
  shift
  for _ in $(seq 200); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "$what did not start" >&2
  cat "$scratch"/*.log >&2
  exit 1
}

# start_dev SETTING=VALUE…: starts `cargo dev` with these settings, as process $dev, at $api and $dynamodb. Needs
# target/debug/local.
start_dev() {
  # wait_for must not read the log of an earlier `cargo dev`.
  rm -f "$scratch/dev.log"
  env "$@" target/debug/local --port 0 --dynamodb-port 0 --ses-port 0 >"$scratch/dev.log" 2>&1 &
  dev=$!
  pids+=("$dev")
  wait_for "cargo dev" grep -q "Ctrl-C ends it" "$scratch/dev.log"
  api=$(grep -ao 'http://[^/]*' "$scratch/dev.log" | head -n 1)
  dynamodb=$(grep -ao 'AWS_ENDPOINT_URL_DYNAMODB=http://[0-9.:]*' "$scratch/dev.log" | cut -d = -f 2)
}

# two_free_ports: prints two free ports
two_free_ports() {
  python3 - <<'PY'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in sockets))
PY
}
