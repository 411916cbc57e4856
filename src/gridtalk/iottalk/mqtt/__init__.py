"""The MQTT side of the device server: ``gridtalk devices``."""
