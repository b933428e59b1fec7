#!/usr/bin/env bash
# Runs a Python script in desktop 3D Slicer with our module: run_slicer.sh FOLDER SCRIPT [OPTION ...]
# FOLDER is where get_slicer.sh unpacked Slicer. Not run yet, for the same reason.
set -euo pipefail
folder=$1 script=$2
shift 2
cd "$(dirname "$0")/.."

screen=()
if [ -x "$folder/Slicer.app/Contents/MacOS/Slicer" ]; then
    slicer=$folder/Slicer.app/Contents/MacOS/Slicer
elif [ -f "$folder/Slicer.exe" ]; then
    slicer=$folder/Slicer.exe
else
    slicer=$folder/Slicer
    # Runners have no screen.
    if [ -z "${DISPLAY:-}" ]; then screen=(xvfb-run --auto-servernum --server-args "-screen 0 1600x1200x24"); fi
fi
# An empty array is unset to the bash 3.2 of macOS, hence the test.
${screen[@]+"${screen[@]}"} "$slicer" --no-splash "$@" \
    --additional-module-paths "$PWD/MyoPSSegmenter" --python-script "$script"
