"""The device server: Gridtalk is the IoTtalk server (v2 and v1) of the devices that connect to it.

``docs/adr/0015-device-server.md`` says how the parts fit.
"""
