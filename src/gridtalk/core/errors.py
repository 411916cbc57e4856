"""The errors that Gridtalk raises on purpose.

::

    GridtalkError
    ├── UserError            what a person or a meter sent is wrong; they can mend it   (HTTP 400)
    │   ├── NotAllowed       not signed in, wrong key, not permitted                   (HTTP 403)
    │   ├── NotFound         no such thing, or none that you may see                   (HTTP 404)
    │   ├── Conflict         it is in a state that forbids this now                    (HTTP 409)
    │   ├── TooLarge         more than we take                                         (HTTP 413)
    │   └── TooMany          too often; wait                                           (HTTP 429)
    ├── PeerError            a provider, meter or database on the other side failed    (HTTP 502)
    └── SetupError           this installation is set up wrongly; the operator mends   (HTTP 500)

Anything else that is raised is a bug of ours and becomes HTTP 500. The edge (web, api, webhooks,
command line) maps an error to a status once, by :attr:`GridtalkError.status`.
"""


class GridtalkError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown.

    What varies in it is named, and given beside it, so that pages can say it in their language
    (``web.words.error_text``): ``UserError("meter “%(meter)s” is retired", meter=meter.name)``.
    Without facts a percent sign means nothing.
    """

    status = 500

    def __init__(self, text: str = "", /, **facts: object) -> None:
        super().__init__(text % facts if facts else text)
        self.text, self.facts = text, facts


class UserError(GridtalkError):
    """The input is wrong; the text names what, and how to mend it."""

    status = 400


class NotAllowed(UserError):  # noqa: N818  named for what happened, as HTTP does
    """The caller is not who may do this."""

    status = 403


class NotFound(UserError):  # noqa: N818
    """There is no such thing, or none that the caller may see."""

    status = 404


class Conflict(UserError):  # noqa: N818
    """The thing is in a state that forbids the action now."""

    status = 409


class TooLarge(UserError):  # noqa: N818
    """The input is larger than what we take."""

    status = 413


class TooMany(UserError):  # noqa: N818
    """The caller did this too often and must wait."""

    status = 429


class PeerError(GridtalkError):
    """Somebody else's system failed or answered nonsense."""

    status = 502


class SetupError(GridtalkError):
    """This installation cannot run as it is set up; the text says what to do."""
