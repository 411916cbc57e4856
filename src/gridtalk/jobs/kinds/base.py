"""What a kind of job must say of itself."""

from typing import ClassVar

from gridtalk.jobs.models import Job
from gridtalk.jobs.wire import job_text


class JobKind:
    """One kind of job.

    A new one is a file beside this one, a line in ``jobs/catalogue.py``, a model with a migration,
    and its two texts (``messaging/texts``).

    The class is stateless; services call it with a job that they have locked.
    """

    #: Its model, a member of ``jobs/families.py``; ``model.KIND`` is the kind's name.
    model: ClassVar[type[Job]]
    #: The word after ``job=`` in the text for the meter.
    word: ClassVar[str]
    #: Whether carrying it out makes money. Such a job is never sent twice to a meter that might
    #: apply it twice, and never expires: it becomes unconfirmed.
    money: ClassVar[bool] = False
    #: Whether it concerns the whole meter: then it belongs to the mains and names no address.
    whole_meter: ClassVar[bool] = False
    #: Kinds that a new one of this kind makes pointless: open ones of the circuit end, and are not
    #: sent again.
    supersedes: ClassVar[tuple[str, ...]] = ()
    #: The circuit's status once the meter has done it, where the kind decides that.
    status_after: ClassVar[int | None] = None
    #: Text for who asked, when the meter has acknowledged it; empty: nobody is told.
    done_text: ClassVar[str] = ""
    #: Text for who asked, when the meter did not answer in time; empty: nobody is told.
    unanswered_text: ClassVar[str] = ""

    def text(self, job: Job) -> str:
        """What is sent to the meter. Must be a pure function of the job and its circuit."""
        address = "" if self.whole_meter else job.circuit.ip_address
        return job_text(word=self.word, job_id=job.pk, address=address)
