"""A device of IoTtalk v2: registration over HTTP, data over MQTT."""

import json
import queue
import time
import urllib.error
import urllib.request

import paho.mqtt.client as mqtt

HTTP_TIMEOUT_S = 15
KEEP_ALIVE_S = 60
EXACTLY_ONCE = 2
#: So long without the broker, the device registers anew: its user or topics may have changed.
OFFLINE_LIMIT_S = 60
_LONGEST_ANSWER = 1 << 20


def request(method, url, body):
    """The JSON answer to one request; raises OSError with the server's reason."""
    asked = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(asked, timeout=HTTP_TIMEOUT_S) as answer:
            found = json.loads(answer.read(_LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        try:
            reason = json.loads(error.read(_LONGEST_ANSWER))["reason"]
        except (ValueError, KeyError, TypeError):
            reason = error.reason
        raise OSError(f"HTTP {error.code}: {reason}") from error
    except ValueError as error:
        raise OSError(f"the answer is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise OSError("the answer is not a JSON object")
    return found


class Session:
    """One registration. All that comes is taken up by ``events`` in the caller's thread."""

    def __init__(self, url, registration):
        """Register and connect; raises OSError where the server or the broker does not take it."""
        answer = request("PUT", url, registration)
        self._url = url
        self._names = {
            part: {name for name, _ in registration[f"{part}_list"]} for part in ("idf", "odf")
        }
        self._topics = {"idf": {}, "odf": {}}
        self._events = queue.SimpleQueue()
        self._was_online = False
        self.online = False
        self._online_at = time.monotonic()
        try:
            self.name = answer.get("name")
            self._control_in, self._control_out = answer["ctrl_chans"]
            self._revision = answer["rev"]
            host, port = answer["url"]["host"], int(answer["url"]["port"])
        except (KeyError, TypeError, ValueError) as error:
            raise OSError(f"the answer to the registration lacks {error}") from error
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        if answer.get("username"):
            client.username_pw_set(answer["username"], answer.get("password"))
        if answer["url"].get("scheme") == "mqtts":
            client.tls_set()
        client.will_set(self._control_in, self._state("offline"), EXACTLY_ONCE, retain=True)
        client.reconnect_delay_set(1, 30)
        # The callbacks run in paho's thread: they only hand over what came.
        client.on_connect = lambda _c, _u, _f, code, _p: self._events.put(("connected", code))
        client.on_disconnect = lambda *_: self._events.put(("disconnected", None))
        client.on_message = lambda _c, _u, message: self._events.put(("message", message))
        self._client = client
        try:
            client.connect(host, port, KEEP_ALIVE_S)
        except ValueError as error:
            raise OSError(f"the broker's address {host!r}, {port} cannot be used") from error
        client.loop_start()

    @property
    def lost(self):
        """Whether the broker has been away for so long that the device must register anew."""
        return not self.online and time.monotonic() - self._online_at > OFFLINE_LIMIT_S

    def wanted(self, name):
        """Whether the server has connected that input feature, and hears it."""
        return self.online and name in self._topics["idf"]

    def push(self, name, text):
        """Send a JSON list, as text, for an input feature that is wanted."""
        if self.wanted(name):
            self._client.publish(self._topics["idf"][name], text, 0)

    def events(self):
        """Do what has come; gives (feature, payload) for each message to an output feature."""
        found = []
        while not self._events.empty():
            kind, value = self._events.get()
            if kind == "connected":
                self._connected(value)
            elif kind == "disconnected":
                self._offline()
            elif value.topic == self._control_out:
                self._command(value.payload)
            else:
                found += [
                    (name, value.payload)
                    for name, topic in self._topics["odf"].items()
                    if topic == value.topic
                ]
        return found

    def close(self, deregister=False):
        """Say goodbye, and wait a little for the broker to have heard it; may raise OSError."""
        if self.online:
            told = self._client.publish(
                self._control_in, self._state("offline"), EXACTLY_ONCE, retain=True
            )
            told.wait_for_publish(3)
        self._client.disconnect()
        self._client.loop_stop()
        if deregister:
            request("DELETE", self._url, {"rev": self._revision})

    def _state(self, name):
        return json.dumps({"state": name, "rev": self._revision})

    def _connected(self, code):
        if code.is_failure:
            print(f"MQTT: {code}", flush=True)
            return
        print("connected", flush=True)
        self.online = True
        self._client.subscribe(self._control_out, EXACTLY_ONCE)
        for topic in self._topics["odf"].values():
            self._client.subscribe(topic, 0)
        # After a lost connection the server must hear both, in this order.
        for state in ("offline", "online") if self._was_online else ("online",):
            self._client.publish(self._control_in, self._state(state), EXACTLY_ONCE, retain=True)
        self._was_online = True

    def _offline(self):
        if self.online:
            print("disconnected", flush=True)
            self._online_at = time.monotonic()
        self.online = False

    def _command(self, payload):
        try:
            command = json.loads(payload)
            number = command["msg_id"]
        except (ValueError, KeyError, TypeError):
            print(f"a command that cannot be read: {payload[:100]!r}", flush=True)
            return
        reason = self._obey(command)
        answer = {"msg_id": number, "state": "error" if reason else "ok"}
        if reason:
            answer["reason"] = reason
        self._client.publish(self._control_in, json.dumps(answer), EXACTLY_ONCE)

    def _obey(self, command):
        """Carry a command out; the reason why not, or None."""
        part = "idf" if "idf" in command else "odf"
        what, name, topic = command.get("command"), command.get(part), command.get("topic")
        if name not in self._names[part]:
            return f"no {part.upper()} {name}"
        if what not in ("CONNECT", "DISCONNECT"):
            return f"unknown command {what}"
        if what == "CONNECT" and not (isinstance(topic, str) and topic):
            return "there is no topic"
        topics = self._topics[part]
        old = topics.pop(name, None)
        if part == "odf" and old is not None and old != topic:
            self._client.unsubscribe(old)
        if what == "CONNECT":
            topics[name] = topic
            if part == "odf":
                self._client.subscribe(topic, 0)
        print(f"{what} {name}", flush=True)
        return None
