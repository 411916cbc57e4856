"""The MQTT broker: a private Mosquitto, amqtt where that is absent, or the operator's own.

``kinds.py`` chooses; ``mosquitto.py`` and ``passwords.py`` write Mosquitto's files; ``proof.py``
asks a broker whether it lets somebody in; ``admission.py`` makes it so; ``embedded.py`` is amqtt.
"""
