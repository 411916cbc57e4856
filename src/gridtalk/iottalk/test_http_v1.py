"""v1 over HTTP: a device that pushes and pulls."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine

from gridtalk.core import clock
from gridtalk.iottalk.models import (
    DeviceEvent,
    DfSample,
    FeatureSend,
    RegisteredDevice,
)
from gridtalk.iottalk.services.sends import feature_send
from gridtalk.iottalk.services.v1 import v1_devices_silent
from gridtalk.iottalk.testing_v1 import BASE, BEGAN, DUMMY, MAC, Board, device, feature

pytestmark = pytest.mark.django_db


# --- Registration -------------------------------------------------------------------------------


def test_registration(moment: time_machine.Traveller) -> None:
    board = Board(*DUMMY, d_name="07.Dummy")
    answer = board.registers()
    assert answer.json() == {"d_name": "07.Dummy", "password": board.key}
    row = device()
    assert (row.address, row.name, row.dm_name) == (MAC.lower(), "07.Dummy", "Dummy_Device")
    assert (row.online, row.last_seen_at) == (True, clock.now())
    # The key is nowhere as it is.
    assert board.key not in str(list(RegisteredDevice.objects.values()))
    assert board.pulls("profile") == {**board.profile, "d_name": "07.Dummy"}
    kinds = DeviceEvent.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["registered", "online"]


def test_a_name_is_given_where_there_is_none(board: Board) -> None:
    assert device().name.startswith("Dummy_Device ")
    assert board.pulls("profile")["d_name"] == device().name


@pytest.mark.parametrize(
    ("label", "key"), [("missing", ""), ("wrong", "x" * 43), ("not ASCII", "é")]
)
def test_the_key_is_needed(board: Board, label: str, key: str) -> None:
    for method, path, body in [
        ("PUT", "Dummy_Sensor", {"data": [1]}), ("GET", "Dummy_Control", None),
        ("GET", "profile", None), ("GET", "__Ctl_O__", None), ("PUT", "__Ctl_I__", {"data": []}),
    ]:  # fmt: skip
        answer = board.asks(method, f"{MAC}/{path}", body, key=key)
        assert (answer.status_code, b"password-key" in answer.content) == (403, True)
        assert b"mac_addr not found" not in answer.content
    assert board.asks("DELETE", MAC, key=key).status_code == 403
    assert DfSample.objects.count() == 0
    # One line for the operator, whatever the number of tries.
    assert DeviceEvent.objects.get(kind="refused").device == device()


def test_the_address_in_any_case(board: Board) -> None:
    assert board.asks("PUT", f"{MAC.lower()}/Dummy_Sensor", {"data": [1]}).status_code == 200
    assert feature("Dummy_Sensor").last_value == [1]


def test_boards_that_never_send_their_key(board: Board, settings: Any) -> None:
    settings.DEVICE_KEYLESS_MODELS = ["Dummy_Device"]
    assert board.pushes("Dummy_Sensor", [1], key="").status_code == 200
    assert board.pushes("Dummy_Sensor", [1], key="wrong").status_code == 403
    settings.DEVICE_KEYLESS_MODELS = ["Other"]
    assert board.pushes("Dummy_Sensor", [1], key="").status_code == 403


def test_again_with_the_key_keeps_it_and_without_gets_a_new_one(board: Board) -> None:
    first = board.key
    board.registers()
    assert board.key == first
    board.registers(key="")
    assert board.key != first
    assert board.pushes("Dummy_Sensor", [1]).status_code == 200
    assert board.pushes("Dummy_Sensor", [1], key=first).status_code == 403


def test_leaving_and_the_words_that_make_clients_register(board: Board) -> None:
    assert board.asks("DELETE", MAC).status_code == 200
    assert device().online is False
    for method, path in [
        ("PUT", "Dummy_Sensor"), ("GET", "Dummy_Control"), ("GET", "__Ctl_O__"), ("GET", "profile"),
    ]:  # fmt: skip
        answer = board.asks(method, f"{MAC}/{path}", {"data": [1]})
        assert answer.status_code == 404
        assert b"mac_addr not found:" in answer.content
    assert b"mac_addr not found:" in board.asks("GET", f"get_alias/{MAC}/Dummy_Sensor").content
    assert board.registers().status_code == 200
    assert board.pushes("Dummy_Sensor", [1]).status_code == 200


@pytest.mark.parametrize(
    ("label", "mac", "body", "status", "reason"),
    [
        ("no profile", MAC, {}, 400, "profile"),
        ("10,000 features", MAC, {"profile": {"df_list": ["f"] * 10_000}}, 400, "at most 200"),
        ("1 MB", MAC, b" " * 2**20, 413, "at most"),
        ("deep nesting", MAC, b"[" * 50_000, 400, "nested"),
        ("a long address", "x" * 65, {"profile": {"df_list": []}}, 400, "64 characters"),
        ("a reserved address", "get_alias", {"profile": {"df_list": []}}, 400, "get_alias"),
    ],
)
def test_refused(label: str, mac: str, body: Any, status: int, reason: str) -> None:
    answer = Board().asks("POST", mac, body)
    assert (answer.status_code, reason in answer.content.decode()) == (status, True)
    assert RegisteredDevice.objects.count() == 0


# --- Data ---------------------------------------------------------------------------------------


def test_push(board: Board, moment: time_machine.Traveller) -> None:
    moment.shift(60)
    assert board.pushes("Dummy_Sensor", [21.5, None, "a"]).status_code == 200
    row, found = feature("Dummy_Sensor"), device()
    assert (row.last_value, row.last_at, row.state) == ([21.5, None, "a"], clock.now(), "ok")
    assert DfSample.objects.get().value == [21.5, None, "a"]
    assert found.last_data_at == found.last_seen_at == clock.now()


def test_two_at_the_same_moment_have_different_times(board: Board) -> None:
    for number in range(7):
        board.pushes("Dummy_Sensor", number)
    samples = board.pulls("Dummy_Sensor")
    assert [value for _, value in samples] == [[6], [5], [4], [3], [2]]
    assert len({time for time, _ in samples}) == 5
    assert samples == sorted(samples, reverse=True)


@pytest.mark.parametrize(
    ("label", "path", "body", "status"),
    [
        ("an unknown feature", "Nothing", {"data": [1]}, 404),
        ("no data", "Dummy_Sensor", {"value": 1}, 400),
        ("malformed", "Dummy_Sensor", b'{"data": [1', 400),
        ("NaN", "Dummy_Sensor", b'{"data": [NaN]}', 400),
        ("too large", "Dummy_Sensor", {"data": "x" * 20_000}, 413),
        ("1 MB", "Dummy_Sensor", {"data": "x" * 2**20}, 413),
        ("our side of the control channel", "__Ctl_O__", {"data": ["RESUME"]}, 400),
        ("the profile", "profile", {"data": {}}, 400),
    ],
)
def test_push_refused(board: Board, label: str, path: str, body: Any, status: int) -> None:
    answer = board.asks("PUT", f"{MAC}/{path}", body)
    assert answer.status_code == status
    assert b"mac_addr not found" not in answer.content
    assert DfSample.objects.count() == 0
    assert DeviceEvent.objects.get(kind="refused").device == device()


def test_hostile_text_is_stored_as_text(board: Board) -> None:
    raw = rb'{"data": ["a\u0000\ud800\\\n\tb"]}'
    assert board.asks("PUT", f"{MAC}/Dummy_Sensor", raw).status_code == 200
    assert board.pulls("Dummy_Sensor")[0][1] == ["a\ufffd?\\\n\tb"]


def test_an_output_gives_what_waits_one_a_pull(board: Board) -> None:
    assert board.pulls("Dummy_Control") == []
    # Asked for before anything was said: it is an output.
    control = feature("Dummy_Control")
    assert control.kind == "odf"
    for number in (1, 2):
        feature_send(feature=control, value=[number], user=None)
    first, second, third = (board.pulls("Dummy_Control") for _ in range(3))
    assert [samples[0][1] for samples in (first, second, third)] == [[1], [2], [2]]
    assert second == third
    assert first[0] == second[1]
    assert list(FeatureSend.objects.values_list("state", flat=True)) == ["sent", "sent"]
    assert board.pushes("Dummy_Control", [3]).status_code == 400
    # Learned for good: the next registration does not turn it around.
    board.registers()
    assert feature("Dummy_Control").kind == "odf"
    assert device().features.count() == 2


def test_an_input_stays_one_when_it_is_asked_for(board: Board) -> None:
    board.pushes("Dummy_Sensor", 1)
    assert [value for _, value in board.pulls("Dummy_Sensor")] == [[1]]
    assert feature("Dummy_Sensor").kind == "idf"


def test_one_that_asks_before_it_says_is_an_input_in_the_end(board: Board) -> None:
    board.pulls("Dummy_Sensor")
    assert board.pushes("Dummy_Sensor", 1).status_code == 200
    assert feature("Dummy_Sensor").kind == "idf"


def test_names_with_tilde_and_other_signs(moment: time_machine.Traveller) -> None:
    names = ["Name~Info", "溫度 1", "<b>"]
    board = Board(*names)
    board.registers()
    for name in names:
        assert board.pushes(quote(name, safe="~"), 1).status_code == 200
        assert feature(name).last_value == [1]


# --- Control ------------------------------------------------------------------------------------


def test_control_channel(board: Board) -> None:
    [[time, command]] = board.pulls("__Ctl_O__")
    assert command == ["SET_DF_STATUS", {"cmd_params": ["11"]}]
    response = ["SET_DF_STATUS_RSP", {"cmd_params": ["10"]}]
    assert board.pushes("__Ctl_I__", response).status_code == 200
    assert (feature("Dummy_Sensor").state, feature("Dummy_Control").state) == ("ok", "error")
    [resume, *_] = board.pulls("__Ctl_O__")
    assert resume[0] != time
    assert resume[1] == ["RESUME", {"cmd_params": []}]
    assert board.pulls("__Ctl_I__") == []
    assert board.pushes("__Ctl_I__", ["HELLO"]).status_code == 200


# --- Presence -----------------------------------------------------------------------------------


def test_online_follows_what_it_says_and_asks(
    board: Board, moment: time_machine.Traveller, settings: Any
) -> None:
    settings.DEVICE_V1_SILENCE = timedelta(seconds=90)
    for _ in range(4):
        moment.shift(80)
        board.pulls("__Ctl_O__")
        assert v1_devices_silent(listening_since=BEGAN) == 0
    moment.shift(91)
    # The server was away itself: it cannot know.
    assert v1_devices_silent(listening_since=clock.now() - timedelta(seconds=89)) == 0
    assert v1_devices_silent(listening_since=BEGAN) == 1
    assert (device().online, device().state_at) == (False, clock.now())
    assert v1_devices_silent(listening_since=BEGAN) == 0
    moment.shift(10)
    board.pushes("Dummy_Sensor", 1)
    assert (device().online, device().state_at) == (True, clock.now())
    kinds = DeviceEvent.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["registered", "online", "offline", "online"]


def test_a_stranger_does_not_bring_it_online(board: Board) -> None:
    RegisteredDevice.objects.update(online=False)
    board.pulls("__Ctl_O__", key=board.key)
    RegisteredDevice.objects.update(online=False)
    board.asks("GET", f"{MAC}/__Ctl_O__", key="wrong")
    assert device().online is False


# --- Aliases, tree, other addresses -------------------------------------------------------------


def test_aliases_last(board: Board) -> None:
    def alias() -> Any:
        return board.asks("GET", f"get_alias/{MAC}/Dummy_Sensor", key="").json()

    assert alias() == {"alias_name": []}
    path = f"set_alias/{MAC}/Dummy_Sensor/alias"
    assert board.asks("GET", f"{path}?name=08:00~09:00", key="").status_code == 200
    assert alias() == {"alias_name": ["08:00~09:00"]}
    board.registers()
    assert alias() == {"alias_name": ["08:00~09:00"]}
    assert "df_alias" not in board.pulls("profile")
    assert board.asks("GET", f"{path}?name=", key="").json() == {"alias_name": []}
    assert board.asks("GET", f"get_alias/{MAC}/Nothing", key="").status_code == 404
    assert board.asks("GET", f"{path}?name={'x' * 101}", key="").status_code == 400


def test_tree_and_the_rest(board: Board) -> None:
    tree = board.asks("GET", "tree", key="").json()
    assert tree[MAC.lower()]["profile"]["df_list"] == DUMMY
    assert board.key not in str(tree)
    assert board.client.get(BASE).status_code == board.client.get(f"{BASE}/").status_code == 200
    assert board.asks("GET", MAC).status_code == 405
    assert board.asks("GET", "a/b/c/d").status_code == 404


def test_a_flood_of_one_device_waits_and_others_do_not(board: Board, settings: Any) -> None:
    settings.DEVICE_REQUESTS_PER_SECOND = 1
    other = Board(*DUMMY, mac="other")
    other.registers()
    answers = [board.pushes("Dummy_Sensor", n) for n in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1]["Retry-After"] == "1"
    assert other.pushes("Dummy_Sensor", 1).status_code == 200


def test_a_flood_in_a_devices_name_from_elsewhere_does_not_silence_it(
    board: Board, settings: Any
) -> None:
    settings.DEVICE_REQUESTS_PER_SECOND = 1
    flood = [board.pushes("Dummy_Sensor", n, key="", source="192.0.2.9") for n in range(7)]
    assert [answer.status_code for answer in flood] == [403] * 5 + [429] * 2
    assert board.pushes("Dummy_Sensor", 1).status_code == 200
