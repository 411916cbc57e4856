"""The words, icons and tones of states and kinds, as people read them in the pages."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gridtalk.core.errors import GridtalkError

Text = str | Promise


def error_text(error: GridtalkError) -> str:
    """The error in the reader's language, where its text has been translated."""
    text = gettext(error.text) if error.text else ""
    return text % error.facts if error.facts else text


@dataclass(frozen=True)
class Word:
    """A state as a page shows it: an icon (``frontend/icons.mjs``), a word and a tone."""

    text: Text
    icon: str
    tone: str


GOOD, BUSY, WARN, BAD, QUIET = "good", "busy", "warn", "bad", "quiet"

JOB_STATES = {
    "queued": Word(_("waiting"), "clock", BUSY),
    "sent": Word(_("sent"), "arrow", BUSY),
    "done": Word(_("done"), "check", GOOD),
    "failed": Word(_("failed"), "cross", BAD),
    "expired": Word(_("expired"), "cross", WARN),
    "unconfirmed": Word(_("unconfirmed"), "question", WARN),
    "cancelled": Word(_("cancelled"), "dash", QUIET),
}
MESSAGE_STATES = {
    "received": Word(_("received"), "check", QUIET),
    "queued": Word(_("waiting"), "clock", BUSY),
    "sending": Word(_("being sent"), "arrow", BUSY),
    "sent": Word(_("sent"), "arrow", GOOD),
    "delivered": Word(_("delivered"), "check", GOOD),
    "failed": Word(_("failed"), "cross", BAD),
    "expired": Word(_("given up"), "cross", WARN),
}
TOKEN_STATES = {
    "new": Word(_("new"), "dot", BUSY),
    "issued": Word(_("with a tablet"), "arrow", BUSY),
    "pending": Word(_("being credited"), "clock", BUSY),
    "used": Word(_("used"), "check", GOOD),
    "sold": Word(_("sold, in conflict"), "warning", WARN),
    "void": Word(_("void"), "dash", QUIET),
}
CIRCUIT_STATUS = {
    "1": Word(_("on"), "power", GOOD),
    "0": Word(_("off"), "cross", QUIET),
}
METER_STATES = {
    "reporting": Word(_("reporting"), "check", GOOD),
    "silent": Word(_("silent"), "warning", BAD),
    "new": Word(_("no report yet"), "dot", QUIET),
    "inactive": Word(_("not active"), "dash", QUIET),
}
INTERFACE_STATES = {
    "working": Word(_("working"), "check", GOOD),
    "failing": Word(_("failing"), "warning", BAD),
    "new": Word(_("nothing sent yet"), "dot", QUIET),
    "inactive": Word(_("not active"), "dash", QUIET),
}
ALERT_STATES = {
    "open": Word(_("open"), "warning", WARN),
    "seen": Word(_("seen"), "dot", BUSY),
    "cleared": Word(_("cleared"), "check", GOOD),
}
LEVELS = {
    "info": Word(_("info"), "dot", QUIET),
    "warning": Word(_("warning"), "warning", WARN),
    "error": Word(_("error"), "cross", BAD),
}
USER_STATES = {
    "active": Word(_("active"), "check", GOOD),
    "inactive": Word(_("not active"), "dash", QUIET),
}
DEVICE_STATES = {
    "online": Word(_("online"), "check", GOOD),
    "offline": Word(_("offline"), "cross", BAD),
    "waiting": Word(_("waits for an approval"), "warning", WARN),
    "gone": Word(_("left"), "dash", QUIET),
    "new": Word(_("not heard yet"), "dot", QUIET),
}
FEATURE_STATES = {
    "new": Word(_("not connected"), "dot", QUIET),
    "asked": Word(_("being connected"), "clock", BUSY),
    "ok": Word(_("connected"), "check", GOOD),
    "error": Word(_("refused by the device"), "warning", BAD),
}
VERSION_STATES = {
    "same": Word(_("runs what is saved"), "check", GOOD),
    "other": Word(_("runs another version than is saved"), "warning", WARN),
}
DEVICE_EVENTS = {
    "registered": Word(_("registered"), "check", GOOD),
    "reregistered": Word(_("registered again"), "check", QUIET),
    "deregistered": Word(_("left"), "dash", QUIET),
    "refused": Word(_("refused"), "cross", BAD),
    "online": Word(_("online"), "check", GOOD),
    "offline": Word(_("offline"), "cross", WARN),
    "bound": Word(_("bound to a meter"), "check", GOOD),
    "unbound": Word(_("no longer a meter"), "dash", QUIET),
    "approved": Word(_("let in again"), "check", GOOD),
    "error": Word(_("error"), "warning", BAD),
}
STATES: dict[str, dict[str, Word]] = {
    "device": DEVICE_STATES,
    "device_event": DEVICE_EVENTS,
    "feature": FEATURE_STATES,
    "version": VERSION_STATES,
    "job": JOB_STATES,
    "message": MESSAGE_STATES,
    "token": TOKEN_STATES,
    "circuit": CIRCUIT_STATUS,
    "meter": METER_STATES,
    "interface": INTERFACE_STATES,
    "alert": ALERT_STATES,
    "level": LEVELS,
    "user": USER_STATES,
}

JOB_KINDS: dict[str, Text] = {
    "add_credit": _("Add credit"),
    "turn_on": _("Turn on"),
    "turn_off": _("Turn off"),
    "mping": _("Ping meter"),
    "cping": _("Ping circuit"),
}
ALERT_KINDS: dict[str, Text] = {
    "unresponsive_circuit": _("Circuit silent"),
    "power_max": _("Too much power"),
    "energy_max": _("Energy of the day used up"),
    "low_credit": _("Low credit"),
    "no_credit": _("No credit"),
    "unresponsive_job": _("Job not answered"),
    "power_on": _("Meter came on"),
    "meter_fault": _("Meter fault"),
}
MESSAGE_KINDS: dict[str, Text] = {
    "incoming": _("in"),
    "outgoing": _("out"),
    "job": _("to a meter"),
}
INTERFACE_KINDS: dict[str, Text] = {
    "kannel": _("Kannel"),
    "netbook": _("Netbook modem"),
    "twilio": _("Twilio"),
    "airtel": _("Airtel"),
    "yo": _("Yo!"),
    "iottalk": _("IoTtalk"),
}
REQUESTERS: dict[str, Text] = {
    "consumer": _("a consumer, by text"),
    "vendor": _("a vendor"),
    "user": _("a user"),
    "api": _("a program"),
    "gateway": _("the gateway"),
}
CAUSES: dict[str, Text] = {
    "token_issue": _("Tokens made"),
    "redemption": _("Token redeemed"),
    "delivery": _("Credit arrived at the meter"),
    "consumption": _("Electricity used"),
    "adjustment": _("Adjustment"),
    "reversal": _("Reversal"),
    "token_void": _("Token made void"),
}
FAULT_CODES: dict[str, Text] = {
    "md": _("meter down"),
    "ce": _("a circuit's component failed"),
    "sdc": _("SD card failed"),
}
#: What people did, as the audit trail shows it: a test finds the action that has no word.
ACTIONS: dict[str, Text] = {
    "account_edit": _("changed a customer"),
    "alert_acknowledge": _("has seen an alert"),
    "api_key_add": _("made an API key"),
    "api_key_end": _("ended an API key"),
    "basic_file_delete": _("deleted a basic file"),
    "basic_file_put": _("added or updated a basic file"),
    "circuit_create": _("added a circuit"),
    "credit_add": _("added credit"),
    "credit_confirm": _("confirmed credit"),
    "credit_resend": _("sent credit again"),
    "credit_reverse": _("reversed credit"),
    "device_approve": _("let a device register again"),
    "device_bind": _("made a device a meter"),
    "device_delete": _("deleted a device of the workshop"),
    "device_forget": _("forgot a device"),
    "device_library_delete": _("deleted a device library"),
    "device_model_delete": _("deleted a device model"),
    "device_model_import": _("imported a device model"),
    "device_refuse": _("kept out who had not a device's key"),
    "device_send": _("sent a value to a device"),
    "device_share": _("shared a device with everybody"),
    "device_unbind": _("parted a device and a meter"),
    "group_create": _("made a group"),
    "group_permissions_set": _("changed what a group may do"),
    "interface_activate": _("started an interface"),
    "interface_create": _("made an interface"),
    "interface_deactivate": _("stopped an interface"),
    "interface_key_set": _("gave an interface a new key"),
    "job_cancel": _("took a job back"),
    "job_cping": _("pinged a circuit"),
    "job_mping": _("pinged a meter"),
    "job_turn_off": _("turned a circuit off"),
    "job_turn_on": _("turned a circuit on"),
    "language_delete": _("deleted a language"),
    "library_delete": _("deleted a library"),
    "library_put": _("added or updated a library"),
    "message_send": _("sent a text"),
    "meter_create": _("made a meter"),
    "password_change": _("changed their password"),
    "token_batch_create": _("made tokens"),
    "token_batch_export": _("downloaded token numbers"),
    "token_void": _("made a token void"),
    "user_activate": _("let a user in again"),
    "user_add": _("added a user"),
    "user_deactivate": _("shut a user out"),
    "user_group_change": _("changed a user's group"),
    "user_password_renew": _("gave a user a new password"),
}
COMMANDS: dict[str, Text] = {
    "balance": _("Balance"),
    "add_credit": _("Add credit"),
    "turn_on": _("Turn on"),
    "turn_off": _("Turn off"),
    "usage": _("Usage"),
    "help": _("Help"),
}
#: What a text was taken as; ``gateway`` writes the keys.
OUTCOMES: dict[str, Text] = {
    "reports": _("hourly report"),
    "pcu log": _("report of the power unit"),
    "duplicate": _("a report that was there already"),
    "alert": _("an alert"),
    "power on": _("the meter came on"),
    "ping": _("a ping of the gateway"),
    "acknowledged": _("the meter carried out a job"),
    "acknowledged again": _("the meter carried out a job; known already"),
    "refused": _("refused"),
    "error": _("not understood"),
    "failed": _("given up after an error of ours"),
    "balance": _("asks for the balance"),
    "add credit": _("redeems a token"),
    "wrong token": _("a token that there is not, or that is used"),
    "token pending": _("a token whose credit is on its way"),
    "turn on": _("turns the circuit on"),
    "turn off": _("turns the circuit off"),
    "no credit": _("turns the circuit on, without credit"),
    "usage": _("asks what was used"),
    "contact changed": _("changed the phone number"),
    "contact asked": _("a new phone number; the present phone is asked"),
    "contact unchanged": _("the phone number that there is"),
    "bad number": _("a phone number that is none"),
    "language changed": _("changed the language"),
    "unknown language": _("a language that there is not"),
    "wrong pin": _("an account number that there is not"),
    "locked out": _("too many wrong account numbers"),
    "locked out, silent": _("too many wrong account numbers; told before"),
    "hint": _("something is missing; a hint was sent"),
    "help": _("asks for help"),
    "unknown": _("an unknown word; help was sent"),
    "unknown, silent": _("an unknown word; help was sent before"),
}
WORDS: dict[str, dict[str, Text]] = {
    "outcome": OUTCOMES,
    "command": COMMANDS,
    "job": JOB_KINDS,
    "alert": ALERT_KINDS,
    "message": MESSAGE_KINDS,
    "interface": INTERFACE_KINDS,
    "requester": REQUESTERS,
    "cause": CAUSES,
    "fault": FAULT_CODES,
    "action": ACTIONS,
}


def choices(words: dict[str, Text] | dict[str, Word]) -> list[tuple[str, Text]]:
    """The words as a form's choices, behind an empty one that means all."""
    return [
        ("", _("all")),
        *((key, word.text if isinstance(word, Word) else word) for key, word in words.items()),
    ]
