#!/bin/sh
# Make a virtual environment, or say in one line what is missing:
#   venv.sh PYTHON FOLDER
# What fails leaves no folder behind, so that the next run starts anew.
set -eu
python=$1 folder=$2

advise() {
    if command -v apt-get >/dev/null 2>&1; then
        echo "apt-get install python3-venv   (where python3 is older: python3.11-venv, and make PYTHON=python3.11)"
    elif command -v dnf >/dev/null 2>&1; then
        echo "dnf install python3.11   (then: make PYTHON=python3.11)"
    elif command -v brew >/dev/null 2>&1; then
        echo "brew install python@3.13   (then: make PYTHON=python3.13)"
    else
        echo "install Python from https://www.python.org/downloads/   (then: make PYTHON=/path/to/python3)"
    fi
}

refuse() {
    echo "$1. To install it: $(advise)" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 || refuse "There is no $python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    refuse "$("$python" --version 2>&1) is too old: Python 3.11 or later is needed"
"$python" -c 'import ensurepip, venv' 2>/dev/null || refuse "$python cannot make virtual environments"

trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder"
trap - EXIT
