"""The Alert family, in an explicit list."""

from gridtalk.core.families import Family

ALERTS = Family(
    "alerts.Alert",
    [
        "alerts.UnresponsiveCircuit",
        "alerts.PowerMax",
        "alerts.EnergyMax",
        "alerts.LowCredit",
        "alerts.NoCredit",
        "alerts.UnresponsiveJob",
        "alerts.PowerOn",
        "alerts.MeterFault",
    ],
)
