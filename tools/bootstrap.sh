#!/bin/sh
# Makes or refreshes .venv from a lock file: sh tools/bootstrap.sh run|dev
# Or .venv-interop, with other people's packages and without ours: sh tools/bootstrap.sh interop
# That one also installs npm's packages beside the tests that call them, where Node.js 20 or newer is.
# Needs Python 3.11 or newer with the venv module, nothing else. Safe to repeat.
set -eu

kind=${1:?usage: bootstrap.sh run|dev|interop}
cd "$(dirname "$0")/.."
venv=.venv
[ "$kind" = interop ] && venv=.venv-interop

# PYTHON where it is set; else the first on the path that was built with optimisation, which runs a tenth faster, or the
# distribution's (built so, though it does not say so), if it can make environments; else the first that is new enough.
find_python() {
  if [ -n "${PYTHON:-}" ]; then
    is_new_enough "$PYTHON" || refuse "PYTHON=$PYTHON is not Python 3.11 or newer."
    command -v "$PYTHON"
    return
  fi
  first=
  for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    is_new_enough "$name" || continue
    first=${first:-$name}
    ! "$name" -c "$is_optimised" 2>/dev/null || {
      first=$name
      break
    }
  done
  [ -n "$first" ] || refuse "Jigap needs Python 3.11 or newer. On Debian: apt-get install python3 python3-venv"
  command -v "$first"
}

is_new_enough() {
  command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

refuse() {
  echo "$1" >&2
  exit 1
}

is_optimised='
import ensurepip, sys, sysconfig, venv
said = sysconfig.get_config_var("CONFIG_ARGS") or ""
sys.exit(sys.base_prefix != "/usr" and "--enable-optimizations" not in said)
'

# One checksum of everything that decides what is installed.
sum() {
  cat "requirements/$1.txt" pyproject.toml | cksum | cut -d' ' -f1
}

# Without Node.js their tests are skipped, nothing else.
install_npm_packages() {
  command -v npm >/dev/null 2>&1 && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || return 0
  cd tests/interop/programs
  stamp=node_modules/.installed
  locked=$(cat package.json package-lock.json | cksum | cut -d' ' -f1)
  if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$locked" ]; then
    echo "Installing tests/interop/programs/package-lock.json (a few seconds the first time) ..." >&2
    # No script of a package is run.
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
    echo "$locked" >"$stamp"
  fi
  cd ../../..
}

wanted=$(sum "$kind")
if [ -f "$venv/.installed-$kind" ] && [ "$(cat "$venv/.installed-$kind")" = "$wanted" ]; then
  [ "$kind" != interop ] || install_npm_packages
  exit 0
fi

python=$(find_python)
# Without pip it was cut short the last time; the venv module completes it.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  echo "Making $venv with $("$python" --version), $python ..." >&2
  if ! "$python" -m venv "$venv" >"$venv.log" 2>&1; then
    rm -rf "$venv"
    cat "$venv.log" >&2
    rm -f "$venv.log"
    echo "Python cannot make virtual environments. On Debian: apt-get install python3-venv" >&2
    exit 1
  fi
  rm -f "$venv.log"
fi
echo "Installing requirements/$kind.txt (about a minute the first time) ..." >&2
PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install --quiet --require-hashes -r "requirements/$kind.txt"
[ "$kind" = interop ] ||
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation -e .
echo "$wanted" >"$venv/.installed-$kind"
# The dev set contains the run set: nothing is left to install for it.
if [ "$kind" = dev ]; then sum run >"$venv/.installed-run"; fi
[ "$kind" != interop ] || install_npm_packages
