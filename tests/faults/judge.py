"""Whether a story ended as every story must, whatever was killed while it ran. Pure."""

from typing import Any


def wrongs(result: dict[str, Any]) -> list[str]:
    """What is wrong with one iteration of ``campaign.py``; empty where it ended the same."""
    found = result["found"]
    checks = {
        "the story was not played to its end": "story_s" in found and "story_error" not in found,
        "the meter did not add the token's value exactly once": [
            float(amount) for amount in found["applied_at_meter"]
        ]
        == [float(found["value"])],
        "there is not exactly one credit job, done, of the token's value": [
            [state, float(credit)] for _, state, credit in found["jobs"]
        ]
        == [["done", float(found["value"])]],
        "the ledger did not deliver the credit exactly once": found["delivered_rows"] == 1,
        "the token is not used": found["token"] == "used",
        "the circuit is not on, at the meter and in the database": found["status"] == [1, 1],
        "meter and database do not agree on the credit": len(set(found["credit"])) == 1,
        "not every reading of the hour is stored once": found["readings"]
        == [found["readings_awaited"]] * 2,
        "the ledger is not clean": not found["verify"],
    }
    wrong = [text for text, good in checks.items() if not good]
    return wrong + _texts_wrong(found) + _answers_wrong(found)


def _texts_wrong(found: dict[str, Any]) -> list[str]:
    wrong = []
    for number, text in enumerate(found["texts"]):
        if not text["accepted"]:
            wrong.append(f"text {number} was never accepted")
        elif len(text["rows"]) != 1:
            wrong.append(f"text {number} was accepted, and is stored {len(text['rows'])} times")
        elif not text["rows"][0][0] or text["rows"][0][1] == "failed":
            wrong.append(f"text {number} was not handled: {text['rows'][0]}")
    return wrong


def _answers_wrong(found: dict[str, Any]) -> list[str]:
    """At least one answer to each: plain texts may come twice, never not at all."""
    person, neighbour = found["person_heard"], found["neighbour_heard"]
    awaited = {
        "nobody heard that the token was added": [
            text for text in person + neighbour if "your token was added" in text
        ],
        "the consumer did not hear the balance": [t for t in person if "Last report" in t],
        "the consumer did not hear that the power is off": [t for t in person if "now off" in t],
        "the consumer did not hear that the power is on": [t for t in person if "now on" in t],
        "the neighbour heard nothing": neighbour,
    }
    return [text for text, heard in awaited.items() if not heard]
