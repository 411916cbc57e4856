#!/bin/sh
# Start this device. The first start makes an environment of its own in ./venv, because iottalk-py
# brings its own version of the MQTT client.
set -eu
cd "$(dirname "$0")"
# Again where the first time was broken off, or something else is required now.
if ! cmp -s requirements.txt venv/installed.txt; then
    "${PYTHON:-python3}" -m venv venv
    venv/bin/python -m pip install --quiet --requirement requirements.txt
    cp requirements.txt venv/installed.txt
fi
exec venv/bin/python -m iottalkpy.dai sa.py
