"""The server in this process, on simulated time, and the network that it is connected to."""

import io
import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction

from gridtalk.alerts.services import unresponsive_jobs_clear
from gridtalk.alerts.silence import unresponsive_circuits_check
from gridtalk.demo.air import Air
from gridtalk.demo.month.diary import Diary
from gridtalk.demo.month.troubles import Troubles
from gridtalk.demo.network import Carried, Network
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.job_work import jobs_work
from gridtalk.gateway.meter.wire_encode import MeterJob, parse_job
from gridtalk.gateway.tasks import DAYS_NIGHTLY
from gridtalk.messaging.drain import messages_send
from gridtalk.messaging.sending import ReadsResponse
from gridtalk.messaging.services import messages_expire
from gridtalk.messaging.wire import HandOver, HttpRequest, HttpResponse, Outcome
from gridtalk.prepaid.consumption import consumption_post

#: How long Kannel waits before it asks again; grows fivefold at most.
RETRY_PAUSE_S = 60.0
#: The server works in such steps where something waits: a month has fewer of them than seconds.
STEP = timedelta(minutes=3)


class Rig:
    """The server's drains and clocks, called as the worker would, at simulated times.

    ``down`` are the spans in which the server does not run, ``mute`` those in which its Kannel
    cannot be reached.
    """

    def __init__(self, diary: Diary, troubles: Troubles) -> None:
        self.diary = diary
        self.troubles = troubles
        self.rounds = 0
        self._application = get_wsgi_application()
        self._network: MonthNetwork | None = None
        self._woken: datetime | None = None
        self._chances: dict[str, random.Random] = {}
        start = diary.now
        diary.every(timedelta(minutes=30), self._alerts, first=start + timedelta(minutes=3))
        diary.every(timedelta(hours=1), self._expire, first=start + timedelta(minutes=4))
        diary.every(timedelta(hours=6), self._consume, first=start + timedelta(minutes=31))

    def connect(self, network: "MonthNetwork") -> None:
        """The network to which the server hands its texts."""
        self._network = network

    @property
    def is_up(self) -> bool:
        """Whether the server runs now."""
        return not _within(self.diary.now, self.troubles.server_down)

    def request(self, url: str) -> int:
        """A GET request to the server; the status, 0 where it does not run."""
        if not self.is_up:
            return 0
        parts = urlsplit(url)
        found: list[Any] = []
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
        }

        def start_response(status: str, *_: Any) -> Callable[[bytes], object]:
            found.append(status)
            return found.append

        answer = self._application(environ, start_response)
        for _ in answer:
            pass
        if hasattr(answer, "close"):
            answer.close()
        self.wake()
        return int(found[0].split()[0])

    def wake(self, at: datetime | None = None) -> None:
        """Work at the next step, or at the first after ``at``."""
        when = max(at or self.diary.now, self.diary.now)
        when += STEP - (when - datetime.min.replace(tzinfo=UTC)) % STEP
        if self._woken is None or when < self._woken:
            self._woken = when
            self.diary.at(when, self._work)

    def _work(self) -> None:
        if self._woken is not None and self.diary.now < self._woken:
            return  # entered before an earlier one, which then asked for a later one
        self._woken = None
        if not self.is_up:
            self.wake(_end(self.diary.now, self.troubles.server_down))
            return
        self.rounds += 1
        # As the bells do: a drain is called where there is something for it to do.
        if _due(self.diary.now).texts:
            handle_waiting()
        due = _due(self.diary.now)
        if due.jobs:
            jobs_work()
        if due.jobs or due.sending:
            self._send()
        if (next_at := _due(self.diary.now).next_at) is not None:
            self.wake(next_at)

    def _send(self) -> None:
        with self.diary.gathering():
            messages_send(transport=self._hand_over)

    def _hand_over(self, request: HttpRequest, provider: ReadsResponse) -> HandOver:
        """Hand a text to the network's Kannel; called on a thread of the drain."""
        assert self._network is not None
        if _within(self.diary.now, self.troubles.kannel_down):
            return HandOver(Outcome.REFUSED_TEMPORARY, "Kannel is down", reached=False)
        parts = urlsplit(request.url)
        number = parts.query.partition("to=")[2].partition("&")[0]
        self.diary.key(number)
        chance = self._chances.get(number)
        if chance is None:
            seed = crc32(f"{self.troubles.seed} {number}".encode())
            chance = self._chances[number] = random.Random(seed)  # noqa: S311  a simulation
        calm = self.diary.now >= self.troubles.calm
        if chance.random() < self.troubles.refusals and not calm:
            return provider.read_response(HttpResponse(503, "3: Temporal failure, try again later"))
        status, body = self._network.sendsms(parts.query)
        if chance.random() < self.troubles.silences and not calm:
            return HandOver(Outcome.UNKNOWN, "no answer within 10 s")
        return provider.read_response(HttpResponse(status, body))

    # --- what the worker's clock calls -----------------------------------------------------------

    def _alerts(self) -> None:
        if self.is_up:
            with transaction.atomic():
                unresponsive_jobs_clear()
            unresponsive_circuits_check(now=self.diary.now)

    def _expire(self) -> None:
        if self.is_up:
            messages_expire()

    def _consume(self) -> None:
        if self.is_up:
            consumption_post(days=DAYS_NIGHTLY)


class MonthNetwork(Network):
    """The network on simulated time; each phone has an air of its own, so that what happens to its
    texts does not depend on the others'.

    ``handed`` counts how often the server handed a job over, ``handed_at`` says when last.
    """

    def __init__(self, rig: Rig) -> None:
        super().__init__(courier=rig.diary, retry_pause_s=RETRY_PAUSE_S, listener=self._count)
        self.handed: Counter[int] = Counter()
        self.handed_at: dict[int, datetime] = {}
        self.texts: Counter[str] = Counter()
        self._rig = rig
        self._airs: dict[str, Air] = {}
        self._chance = random.Random(rig.troubles.seed)  # noqa: S311  a simulation
        rig.connect(self)

    def arrivals(self, number: str) -> list[float]:
        """As the phone's own air has it; without fault in the calm at the end."""
        if self._rig.diary.now >= self._rig.troubles.calm:
            return [1.0]
        air = self._airs.get(number)
        if air is None:
            seed = crc32(f"{self._rig.troubles.seed} air {number}".encode())
            air = self._airs[number] = Air(self._rig.troubles.air, seed=seed)
        return air.arrivals()

    def _count(self, carried: Carried) -> None:
        self.texts[carried.way] += 1
        if carried.way == "down":
            job = parse_job(carried.text)
            if isinstance(job, MeterJob):
                self.handed[job.job_id] += 1
                self.handed_at[job.job_id] = self._rig.diary.now

    def _get(self, url: str) -> int:
        status = self._rig.request(url)
        calm = self._rig.diary.now >= self._rig.troubles.calm
        # The server has it, but its answer was lost: Kannel brings the same again.
        lost = self._chance.random() < self._rig.troubles.lost_answers
        if lost and not calm and status:
            self.texts["answers lost"] += 1
            return 0
        return status


def _within(now: datetime, spans: Iterable[tuple[datetime, datetime]]) -> bool:
    return any(start <= now < end for start, end in spans)


def _end(now: datetime, spans: Iterable[tuple[datetime, datetime]]) -> datetime:
    return max((end for start, end in spans if start <= now < end), default=now)


class Due(NamedTuple):
    """What waits for the server's drains now, and when the next row falls due."""

    texts: bool
    jobs: bool
    sending: bool
    next_at: datetime | None


_DUE = """
    SELECT coalesce(i.at <= %(now)s, false), coalesce(j.at <= %(now)s, false),
           coalesce(m.at <= %(now)s, false), least(i.at, j.at, m.at)
    FROM (SELECT min(coalesce(m.next_attempt_at, %(now)s)) AS at
          FROM incoming_messages i JOIN messages m USING (id) WHERE i.handled_at IS NULL) i,
         (SELECT min(next_attempt_at) AS at FROM jobs
          WHERE state IN ('queued', 'sent', 'unconfirmed')) j,
         (SELECT min(m.next_attempt_at) AS at FROM messages m
          JOIN communication_interfaces c ON c.id = m.communication_interface_id
          WHERE c.active AND m.state IN ('queued', 'sending')) m
"""


def _due(now: datetime) -> Due:
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"now": now})
        return Due(*cursor.fetchone())
