"""What a known meter said, acted on: one message in one transaction.

Hourly reports take the bulk path (``readings.py``) and come here only alone.
"""

from dataclasses import dataclass

from gridtalk.alerts import services as alerts
from gridtalk.core import clock
from gridtalk.core.errors import NotFound, UserError
from gridtalk.gateway.meter import wire
from gridtalk.gateway.meter.wire_encode import ping_answer
from gridtalk.gateway.replies import brought_by_device, may_be_answered, reply_job_done
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.selectors import circuit_get_by_address
from gridtalk.grid.services import circuit_heard
from gridtalk.jobs.services import job_acknowledge
from gridtalk.messaging.models import IncomingMessage
from gridtalk.messaging.services import message_queue
from gridtalk.telemetry.selectors import report_after_message
from gridtalk.telemetry.services import pcu_log_insert


@dataclass(frozen=True)
class Handled:
    """What became of a message: a word for the log, and what in it could not be used."""

    outcome: str
    error: str = ""


def reasons(*errors: str) -> str:
    """Several reasons as the operator reads them in a message's ``error``."""
    return "; ".join(errors)


def meter_message_handle(
    *, incoming: IncomingMessage, meter: Meter, message: wire.MeterMessage
) -> Handled:
    """Act on anything but hourly reports. Assumes the transaction that marks it handled."""
    try:
        if isinstance(message, wire.JobAck):
            return _acknowledged(incoming, meter, message)
        if isinstance(message, wire.Alert):
            return _alert(incoming, meter, message)
        if isinstance(message, wire.PowerOn):
            alerts.alert_from_meter(code="online", meter=meter, origin=incoming)
            return Handled("power on")
        if isinstance(message, wire.PcuLog):
            return _pcu(incoming, meter, message)
    except UserError as error:
        unread = message.errors if isinstance(message, wire.JobAck | wire.Alert) else ()
        return Handled("error", reasons(str(error), *unread))
    assert isinstance(message, wire.MeterError)
    return Handled("error", message.reason)


def ping_handle(*, incoming: IncomingMessage, ping: wire.GatewayPing) -> Handled:
    """Answer a ping, to whoever sent it; a device hears in its acknowledgement that we are here."""
    if brought_by_device(incoming):
        return Handled("ping")
    if not may_be_answered(incoming.number):
        return Handled("ping", "its sender is no phone number: nobody can be answered")
    message_queue(
        interface=incoming.communication_interface,
        number=incoming.number,
        text=ping_answer(clock.now(), ping.meter_time),
        incoming=incoming,
    )
    return Handled("ping")


def _acknowledged(incoming: IncomingMessage, meter: Meter, ack: wire.JobAck) -> Handled:
    meter_time = (
        None if ack.meter_time is None else clock.from_meter(ack.meter_time, meter.time_zone)
    )
    done = job_acknowledge(
        job_id=ack.job_id,
        meter=meter,
        status=ack.status,
        credit=ack.credit,
        meter_time=meter_time,
        received_at=incoming.created_at,
    )
    if not done.first:
        return Handled("acknowledged again", reasons(*ack.errors))
    circuit: Circuit = done.circuit
    alerts.alerts_after_reports(
        changes=[
            alerts.CircuitChange(
                circuit_id=circuit.pk,
                credit_before=done.credit_before,
                credit=circuit.credit if done.credit_taken else None,
                status=circuit.status if ack.status is not None else None,
                reported=False,
                origin_id=incoming.pk,
            )
        ]
    )
    reply_job_done(job=done.job, circuit=circuit, status_said=done.status_said)
    return Handled("acknowledged", reasons(*ack.errors))


def _alert(incoming: IncomingMessage, meter: Meter, alert: wire.Alert) -> Handled:
    circuit, errors = None, list(alert.errors)
    if alert.cid is not None:
        try:
            circuit = circuit_get_by_address(meter=meter, address=alert.cid)
        except NotFound as error:
            if alert.code not in wire.METER_ALERT_CODES:
                raise
            errors.append(str(error))
    if circuit is not None:
        # Before the alert: who brings reports locks the circuit, and then opens the same alert.
        circuit_heard(circuit=circuit, at=incoming.created_at)
    raised = alerts.alert_from_meter(
        code=alert.code, meter=meter, circuit=circuit, credit=alert.credit, origin=incoming
    ).alert
    # Reports are stored in bulk, before other messages that came earlier.
    later = (
        None
        if circuit is None
        else report_after_message(circuit_id=circuit.pk, message_id=incoming.pk)
    )
    if later is not None:
        alerts.alert_after_report(
            alert=raised,
            credit_before=later.credit_before if alert.credit is None else alert.credit,
            credit=later.credit,
            status=later.status,
        )
    return Handled("alert", reasons(*errors))


def _pcu(incoming: IncomingMessage, meter: Meter, report: wire.PcuLog) -> Handled:
    stored = pcu_log_insert(
        meter_id=meter.pk,
        meter_time=clock.from_meter(report.meter_time, meter.time_zone),
        values=report.values,
        raw=incoming.text,
        received_at=incoming.created_at,
        message_id=incoming.pk,
    )
    return Handled("pcu log" if stored is not None else "duplicate")
