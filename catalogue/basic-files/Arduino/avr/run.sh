#!/bin/sh
# Connect the board to the server. The first start makes an environment of its own in ./venv.
set -eu
cd "$(dirname "$0")"
if [ ! -x venv/bin/python ]; then
    "${PYTHON:-python3}" -m venv venv
    venv/bin/python -m pip install --quiet --requirement requirements.txt
fi
exec venv/bin/python bridge.py "$@"
