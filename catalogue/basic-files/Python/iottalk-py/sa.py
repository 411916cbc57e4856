"""The device application's settings, made by DeviceTalk; iottalk-py reads them.

Start it with ./run.sh, or with: python -m iottalkpy.dai sa.py
"""

import os

from device_runtime import guarded, server_wait
{%- if functions %}
from library.{{ sa.safe_name }}_library.functions import (
{%- for function in functions %}
    {{ function.func_name }},
{%- endfor %}
)
{%- endif %}

{%- for feature in idf.info %}
{{ feature.func_name }} = guarded({{ feature.func_name }})
{%- endfor %}

__all__ = [{% for function in functions %}{{ function.func_name | pystr }}, {% endfor %}]

# The environment goes before what was set in the workshop.
api_url = os.environ.get("IOTTALK_URL", {{ da.server_url | pystr }})
device_name = {{ sa.device_name | pystr }}
device_model = {{ da.device_model | pystr }}
device_addr = os.environ.get("IOTTALK_DEVICE_ADDRESS", {{ da.device_addr | pystr }}) or None
# A device with an address of its own stays registered while it is off.
persistent_binding = device_addr is not None
push_interval = {{ da.push_interval }}  # seconds
# By the version the server tells whether this is the device as it was saved last.
profile = {"version": {{ sa.version | pystr }}}

idf_list = [
{%- for feature in idf.info %}
    ({{ feature.name | pystr }}, [{% for type in feature.params.list %}{{ type | pystr }}, {% endfor %}]),
{%- endfor %}
]
odf_list = [
{%- for feature in odf.info %}
    ({{ feature.name | pystr }}, [{% for type in feature.params.list %}{{ type | pystr }}, {% endfor %}]),
{%- endfor %}
]

# iottalk-py gives up where the server does not answer at once; a device must not.
server_wait(api_url)
