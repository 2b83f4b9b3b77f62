"""each message goes to one member of a queue group, and to every plain subscriber"""

import re
from collections import Counter

from harness import site
from harness.check import check, until

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")
MESSAGES = 200


def received(process):
    """The numbers of the jobs that a subscriber got."""
    return [int(number) for number in re.findall(r"^job (\d+)$", process.text(), re.MULTILINE)]


def run(context):
    app = site.make(context).nats(context, "app")
    plain = app.subscribe("jobs")
    workers = [app.subscribe("jobs", "--queue", "workers"), app.start("sub", "jobs", "--queue", "workers")]

    def both_are_in():
        app.publish("jobs", "who is there", "--count", "20")
        return all("who is there" in worker.text() for worker in workers)

    until(both_are_in, "both workers get a share")
    app.publish("jobs", "job {{Count}}", "--count", str(MESSAGES))
    until(lambda: len(received(plain)) == MESSAGES, "the plain subscriber gets every job")
    until(lambda: sum(len(received(worker)) for worker in workers) >= MESSAGES, "the workers get every job")

    shares = [len(received(worker)) for worker in workers]
    counts = Counter(number for worker in workers for number in received(worker))
    twice = [number for number, times in counts.items() if times > 1]
    check(not twice, "no job reaches two workers", str(twice))
    check(all(shares), "both workers get some", str(shares))
    check(received(plain) == sorted(received(plain)), "one publisher's messages arrive in order")
    context.show(f"{MESSAGES} jobs: {shares[0]} + {shares[1]} to the two workers, {MESSAGES} to the plain subscriber, in order")
