#!/bin/sh
# Makes the Python environment: `sh .ci/environment.sh` for the program, `... test` for the test tools too.
# PYTHON=/path/to/python chooses the interpreter, VENV=/path the folder (default .venv).
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
extra=${1:-}
# The version that the shipped weights were made and tested with; any torch >= 2.4 works.
torch_version=2.13.0

fail() { printf 'Error: %s\n' "$*" >&2; exit 1; }

# A shim may be on the PATH for an interpreter that is not there: ask each one, do not look for names.
supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if supported "$candidate"; then echo "$candidate"; return; fi
    done
    found=$("${PYTHON:-python3}" --version 2>&1) || found="no ${PYTHON:-python3}"
    fail "expected Python 3.10 to 3.13, found $found;" \
        "install it (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12"
}

make_environment() {
    python=$(find_python)
    if [ -x "$venv/bin/python" ] && supported "$venv/bin/python"; then return; fi
    # Debian and Ubuntu ship venv without ensurepip until this package is installed.
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python cannot make environments; run: sudo apt-get update && sudo apt-get install -y python3-venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

pip() { "$venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }

# PyPI's torch for Linux carries gigabytes of CUDA. Without an NVIDIA driver the CPU build of PyTorch's own
# index does the same in 200 MB; where that index cannot be reached (one try, 15 s), the same version comes
# from the index that pip is set up with, and failing that any version that runs on this machine.
install_torch() {
    if "$venv/bin/python" -c 'import torch' >/dev/null 2>&1; then return; fi
    if command -v nvidia-smi >/dev/null 2>&1 || [ "$(uname -s)" != Linux ]; then
        pip install torch
        return
    fi
    pip install --retries 0 --timeout 15 "torch==$torch_version+cpu" \
        --index-url https://download.pytorch.org/whl/cpu 2>/dev/null ||
        pip install "torch==$torch_version" || pip install torch
}

# 3D Slicer's core has no wheel for every system; without it Testing/Slicer is skipped, which pytest says.
install_slicer_core() {
    pip install --editable ".[slicer-test]" ||
        echo "slicer-core or PySide6 cannot be installed here: the tests in Testing/Slicer will be skipped."
}

# Without it Testing/Web is skipped, which pytest says. Chromium itself is the system's: `apt-get install chromium`.
install_web() {
    pip install --editable ".[web-test]" ||
        echo "aiohttp or playwright cannot be installed here: tests in Testing/Web will be skipped."
}

make_environment
echo "Installing into $venv ($("$venv/bin/python" --version)). The first time takes some minutes."
echo "1 of 2: torch"
install_torch
echo "2 of 2: myops and what it needs${extra:+, with the $extra tools}"
pip install --editable ".${extra:+[$extra]}"
if [ "$extra" = test ]; then install_slicer_core; install_web; fi
if [ "$extra" = web ]; then echo "Start it by: make web"; fi
