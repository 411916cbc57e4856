"""The two families of this app, in explicit lists."""

from gridtalk.core.families import Family

INTERFACES = Family(
    "messaging.CommunicationInterface",
    [
        "messaging.KannelInterface",
        "messaging.NetbookInterface",
        "messaging.TwilioInterface",
        "messaging.AirtelInterface",
        "messaging.YoInterface",
        "messaging.IoTtalkInterface",
    ],
)

# JobMessage lives in jobs, so that messaging never imports jobs; a label is no import.
MESSAGES = Family(
    "messaging.Message",
    ["messaging.IncomingMessage", "messaging.OutgoingMessage", "jobs.JobMessage"],
)
