"""How a scenario says what must hold, and waits until it does."""

import re
import time


class Failure(Exception):
    """Something that should have held did not; the text is the evidence."""


SECRETS = (
    (re.compile(r"\bS[OAUNCX][A-Z2-7]{56}\b"), "<seed>"),
    (re.compile(r"\bcdn_[A-Za-z0-9_-]+"), "<token>"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+)*"), "<jwt>"),
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
)


def redact(text):
    """The text without seeds, tokens and JWTs: all that is printed goes through here."""
    for pattern, name in SECRETS:
        text = pattern.sub(name, text)
    return text


def check(condition, statement, evidence=""):
    """Fail the scenario unless `condition` holds."""
    if not condition:
        raise Failure(f"{statement}\n{evidence}".rstrip())


def until(condition, statement, seconds=20, pause=0.05):
    """Ask `condition` again and again until it is true; return what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        check(time.monotonic() < deadline, f"not within {seconds} s: {statement}")
        time.sleep(pause)
