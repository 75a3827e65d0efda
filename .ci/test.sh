#!/bin/bash
# Every check of the product in order of cost. Each part prints its time; the last line counts the tests.
#
# A part that fails stops the run: what comes after would only hide it.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/throng/target}"
export RUST_BACKTRACE=0
log="$(mktemp -d)"
trap 'rm -rf "$log"' EXIT
passed=0
times=""

part() { # part NAME COMMAND...
  local name="$1" started=$SECONDS
  shift
  echo "== $name"
  if ! "$@" >"$log/out" 2>&1; then
    cat "$log/out"
    echo "== $name FAILED after $((SECONDS - started)) s"
    exit 1
  fi
  # cargo: "test result: ok. 12 passed"; node and vitest print their own closing lines.
  local here
  here=$(grep -oE 'test result: ok\. [0-9]+ passed' "$log/out" | grep -oE '[0-9]+' | paste -sd+ | sed 's/^$/0/' | bc || true)
  local web
  web=$(sed 's/\x1b\[[0-9;]*m//g' "$log/out" | grep -E '^ *Tests +' | grep -oE '[0-9]+ passed' | grep -oE '[0-9]+' | paste -sd+ | sed 's/^$/0/' | bc || true)
  # A program that counts for itself ends with "12 passed, 0 failed".
  local own
  own=$(grep -oE '^[0-9]+ passed, 0 failed$' "$log/out" | grep -oE '^[0-9]+' | paste -sd+ | sed 's/^$/0/' | bc || true)
  local count=$(( ${here:-0} + ${web:-0} + ${own:-0} ))
  passed=$((passed + count))
  grep -E '^(SKIPPED|skipped):' "$log/out" || true
  grep -oE 'throng\.js: [0-9]+ bytes, [0-9]+ compressed' "$log/out" | head -1 || true
  times="$times$(printf '%5d s  %4d tests  %s' $((SECONDS - started)) "$count" "$name")"$'\n'
  echo "   $((SECONDS - started)) s, $count tests"
}

install_tools() {
  local missing=()
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  command -v bc >/dev/null || missing+=(bc)
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  [ -x /usr/bin/chromium ] || missing+=(chromium)
  if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" || return 1
    else
      echo "please install: ${missing[*]}"
      return 1
    fi
  fi
  rustup component list --installed 2>/dev/null | grep -q clippy || rustup component add clippy rustfmt
}

# `set -e` does not reach into a part, since its end is looked at: each step says itself that the next needs it.
web_checks() (
  cd web &&
    npm ci --no-audit --no-fund --loglevel=error &&
    npm run --silent lint &&
    npm run --silent typecheck &&
    npm test --silent &&
    npm run --silent build
)

# Its tests print the size of `throng.js`, which `part` repeats.
sdk_checks() (
  cd sdk/js &&
    npm ci --no-audit --no-fund --loglevel=error &&
    npm run --silent lint &&
    npm run --silent typecheck &&
    npm test --silent &&
    npm run --silent build
)

browser_checks() (
  cd web && npm run --silent test:browser
)

# A server that speaks S3. Without one (no network) the tests say that S3 is not tested, and go on.
install_s3() {
  local venv="${CARGO_TARGET_DIR%/*}/s3-venv"
  export MOTO_SERVER="$venv/bin/moto_server"
  if ! cmp -s .ci/s3-requirements.txt "$venv/installed"; then
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet -r .ci/s3-requirements.txt || return 0
    cp .ci/s3-requirements.txt "$venv/installed"
  fi
}

part "tools" install_tools
part "a server that speaks S3" install_s3
part "formatting" cargo fmt --all --check
part "tidy" cargo xtask tidy
part "web: lint, types, tests, build" web_checks
part "sdk: lint, types, tests, build" sdk_checks
part "program" cargo build --release --workspace --bins
part "clippy" cargo clippy --release --workspace --all-targets --quiet -- -D warnings
# One selection of packages for all tests: another one would unify features differently and build the dependencies again.
part "build of the tests" cargo test --release --workspace --no-run
part "unit, contract, golden, property, crash and end-to-end tests" cargo test --release --workspace
part "answers beside ClickHouse and DuckDB" cargo xtask bench peers --answers-only --events 300000 --random 200
part "browser: live page in Chromium" browser_checks

echo
printf '%s' "$times"
echo "total $SECONDS s"
echo "$passed passed, 0 failed"
