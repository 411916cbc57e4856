#!/bin/sh
# Start this device. The first start makes an environment of its own in ./venv, because iottalk-py
# brings its own version of the MQTT client.
set -eu
cd "$(dirname "$0")"
if [ ! -x venv/bin/python ]; then
    "${PYTHON:-python3}" -m venv venv
    venv/bin/python -m pip install --quiet --requirement requirements.txt
fi
exec venv/bin/python -m iottalkpy.dai sa.py
