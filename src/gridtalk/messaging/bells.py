"""The bell that says that there are texts to send."""

from gridtalk.core.drains import drain_bell

SEND = drain_bell("gridtalk.messaging.send")
