#!/usr/bin/env bash
# Builds the wheel, installs it into an environment of its own, and runs the tests and notebooks on it. Exit code 75: this machine lacks
# what that takes.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD/target/python
not_run() {
  echo "NOT RUN: the tests of the Python package: $1" >&2
  exit 75
}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || not_run "no Python 3.11 or newer here"
rm -rf "$root"
mkdir -p "$root"
python3 -m venv "$root/venv" || not_run "no environment can be made here (python3-venv)"
pip() { "$root/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
timeout 300 "$root/venv/bin/python" -m pip --disable-pip-version-check --quiet install 'maturin>=1.9.4,<2' \
  || not_run "pip reaches no index"

# Without isolation, pip looks for maturin on the path.
export PATH=$root/venv/bin:$PATH
timeout 1800 "$root/venv/bin/python" -m pip --disable-pip-version-check wheel --no-deps --no-build-isolation \
  --wheel-dir "$root" ./python
wheel=$(ls "$root"/gauntlet-*.whl)
pip install "$wheel[test]"
# Outside of the source, so that the installed package is tested.
cp -r python/tests python/notebooks python/pyproject.toml "$root"
cd "$root"
GAUNTLET_SIM=$root/../debug/sim GAUNTLET_SOURCE=$root/../.. timeout 1200 "$root/venv/bin/python" -m pytest tests
