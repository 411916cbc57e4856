"""What bridge.py tells the server of this device, made by DeviceTalk."""

server_url = {{ da.server_url | pystr }}
device_name = {{ sa.device_name | pystr }}
device_model = {{ da.device_model | pystr }}
device_addr = {{ da.device_addr | pystr }}
# The program on the board says its own; another one means that it was not uploaded yet.
version = {{ sa.version | pystr }}

# In the order of the .ino file.
idf_list = [
{%- for feature in idf.info %}
    [{{ feature.name | pystr }}, [{% for type in feature.params.list %}{{ type | pystr }}, {% endfor %}]],
{%- endfor %}
]
odf_list = [
{%- for feature in odf.info %}
    [{{ feature.name | pystr }}, [{% for type in feature.params.list %}{{ type | pystr }}, {% endfor %}]],
{%- endfor %}
]
