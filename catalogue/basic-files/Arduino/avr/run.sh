#!/bin/sh
# Connect the board to the server. The first start makes an environment of its own in ./venv.
set -eu
cd "$(dirname "$0")"
# Again where the first time was broken off, or something else is required now.
if ! cmp -s requirements.txt venv/installed.txt; then
    "${PYTHON:-python3}" -m venv venv
    venv/bin/python -m pip install --quiet --requirement requirements.txt
    cp requirements.txt venv/installed.txt
fi
exec venv/bin/python bridge.py "$@"
