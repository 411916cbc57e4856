"""English."""

from gridtalk.messaging.texts.catalogue import Catalogue

CATALOGUE = Catalogue(
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    off="off",
    on="on",
    estimated="about {} (estimated)",
    texts={
        # Answers.
        "balance": "Account {account}: credit {credit}. Last report {time}.",
        "balance_no_report": "Account {account}: credit {credit}. No report from the meter yet.",
        "usage": (
            "Account {account}, last 30 days: credit used {credit}, on average {wh} Wh a day."
        ),
        "usage_no_report": "Account {account}: no report in the last 30 days.",
        "add_credit_received": (
            "Account {account}: token accepted. You will get a message when the meter confirms it."
        ),
        "add_credit_done": (
            "Account {account}: your token was added. Power is {status}, credit {credit}."
        ),
        "turn_on_done": "Account {account}: power is now {status}. Credit {credit}.",
        "turn_off_done": "Account {account}: power is now {status}. Credit {credit}.",
        "switch_superseded": (
            "Account {account}: your request to switch power on or off was replaced by a newer one."
        ),
        "contact_changed": "Account {account}: phone number changed. Old: {old}, new: {new}.",
        "contact_ask": (
            "{phone} asks to become the phone of account {account}. To agree, send from here: "
            "prim.{account}.{phone} If not, do nothing."
        ),
        "contact_waits": (
            "Account {account}: we have asked the present phone to confirm. "
            "The number changes when it does."
        ),
        "contact_same": "Account {account}: {phone} is its phone number already.",
        "language_changed": "Account {account}: your messages will now be in English.",
        "help": (
            "Send bal.ACCOUNT, add.ACCOUNT.TOKEN, on.ACCOUNT, off.ACCOUNT, use.ACCOUNT, "
            "prim.ACCOUNT.PHONE or lang.ACCOUNT.en Example: bal.23456789"
        ),
        # What is missing or wrong.
        "hint_balance": "To see your credit, send bal.ACCOUNT, for example bal.23456789",
        "hint_add_credit": (
            "To add credit, send add.ACCOUNT.TOKEN, for example add.23456789.12345678901"
        ),
        "hint_turn_on": "To switch power on, send on.ACCOUNT, for example on.23456789",
        "hint_turn_off": "To switch power off, send off.ACCOUNT, for example off.23456789",
        "hint_set_contact": (
            "To change your phone number, send prim.ACCOUNT.PHONE, "
            "for example prim.23456789.+22370008888"
        ),
        "hint_usage": "To see what you have used, send use.ACCOUNT, for example use.23456789",
        "hint_language": (
            "To change the language, send lang.ACCOUNT.CODE, for example lang.23456789.en "
            "Codes: {languages}."
        ),
        "account_unknown": "There is no account with this number. Please check it and try again.",
        "token_unknown": "There is no token with this number. Please check it and try again.",
        "token_spent": "This token has been used already.",
        "token_spent_here": "This token was used on {time} for account {account}.",
        "token_pending": "This token is being added already.",
        "on_refused_no_credit": (
            "Account {account}: power cannot be switched on, credit is {credit}. "
            "First add credit: add.{account}.TOKEN"
        ),
        "contact_invalid": (
            "This is not a phone number that we can use. Write it with its country code, "
            "for example +22370008888"
        ),
        "language_unknown": (
            "We do not have this language. Choose from: {languages}. Example: lang.{account}.en"
        ),
        "locked_out": "Too many wrong numbers. Please wait an hour, then try again.",
        "add_credit_unanswered": (
            "Account {account}: the meter has not confirmed your token yet. "
            "It is not lost, the operator has been told."
        ),
        "turn_on_unanswered": (
            "Account {account}: the meter did not answer, so we cannot say that power is on. "
            "Please try again later."
        ),
        "turn_off_unanswered": (
            "Account {account}: the meter did not answer, so we cannot say that power is off. "
            "Please try again later."
        ),
        # Alerts.
        "low_credit": (
            "Account {account}: only {credit} of credit is left. To add more: add.{account}.TOKEN"
        ),
        "no_credit": (
            "Account {account}: your credit is used up and power is off. "
            "To add more: add.{account}.TOKEN"
        ),
        "power_max": (
            "Account {account}: too much power was used at once, so it was switched off. "
            "Unplug something, then send on.{account}"
        ),
        "energy_max": (
            "Account {account}: the energy limit of the day is reached, so power was switched off."
        ),
    },
)
