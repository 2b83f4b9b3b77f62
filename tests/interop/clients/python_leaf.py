"""What passes between two sides joined by a leaf node, and what does not; a JSON line for each thing that holds.

Environment: NATS_CA, and PLAN, a JSON object: `near` and `far` are the two sides, `strangers` a list of connections of
other accounts. Each is `{"url", "creds"}` or `{"url", "user", "password"}`. Subjects below `open.` may pass, those
below `closed.` may not.
"""

import asyncio
import json
import os
import ssl

import nats
from nats.errors import NoRespondersError, TimeoutError

PLAN = json.loads(os.environ["PLAN"])


def passed(name, detail=""):
    print(json.dumps({"passed": name, "detail": str(detail)}), flush=True)


async def connect(place):
    tls = ssl.create_default_context(cafile=os.environ["NATS_CA"])
    keys = {name: value for name, value in place.items() if name in ("user", "password")}
    if "creds" in place:
        keys["user_credentials"] = place["creds"]
    return await nats.connect(place["url"], tls=tls, allow_reconnect=False, **keys)


class Heard:
    """A subscription that keeps all it gets."""

    def __init__(self):
        self.bodies = []
        self.changed = asyncio.Event()

    @classmethod
    async def on(cls, client, subject, queue=""):
        heard = cls()

        async def keep(message):
            heard.bodies.append(message.data.decode())
            heard.changed.set()

        heard.subscription = await client.subscribe(subject, queue=queue, cb=keep)
        await client.flush()
        return heard

    async def until(self, condition, what):
        async def wait():
            while not condition():
                self.changed.clear()
                await self.changed.wait()

        try:
            await asyncio.wait_for(wait(), 15)
        except asyncio.TimeoutError:
            raise AssertionError(f"{what}: got {len(self.bodies)}: {self.bodies[:5]} .. {self.bodies[-5:]}") from None

    def own(self):
        """What is no probe."""
        return [body for body in self.bodies if not body.startswith("probe")]


async def reached(heard, sender, subject):
    """Sends until something arrives: interest takes its time to get to the other side."""
    for number in range(200):
        await sender.publish(subject, f"probe {number}".encode())
        await sender.flush()
        if heard.bodies:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing published on {subject} arrives")


async def answering(client, subject):
    async def answer(message):
        await message.respond(b"answer to " + message.data)

    subscription = await client.subscribe(subject, cb=answer)
    await client.flush()
    return subscription


async def asked(client, subject, body):
    """A request, again while interest is on its way."""
    for _ in range(200):
        try:
            return await client.request(subject, body, timeout=1)
        except (NoRespondersError, TimeoutError):
            await asyncio.sleep(0.05)
    raise AssertionError(f"nobody answers on {subject}")


async def fence(near, far):
    """A round trip in each direction: what was sent before it has arrived, and what was sent twice, too."""
    for asker, answerer, subject in ((near, far, "open.fence.far"), (far, near, "open.fence.near")):
        subscription = await answering(answerer, subject)
        await asked(asker, subject, b"fence")
        await subscription.unsubscribe()


async def messages(sender, receiver, name, other):
    subject = f"open.messages.{name}"
    heard = await Heard.on(receiver, subject)
    wide = await Heard.on(receiver, "open.messages.>")
    await reached(heard, sender, subject)
    for number in range(200):
        await sender.publish(subject, str(number).encode(), headers={"Number": str(number)} if number % 2 else None)
    await sender.flush()
    await heard.until(lambda: "199" in heard.bodies, f"messages {name}")
    await other()
    expected = [str(number) for number in range(200)]
    assert heard.own() == expected, heard.own()
    assert wide.own() == expected, wide.own()
    for one in (heard, wide):
        await one.subscription.unsubscribe()
    # Large enough for several blocks where the link is compressed, and not all of one kind.
    large = b"".join(str(number * 2654435761).encode() for number in range(60_000))[:600_000] + b"x" * 300_000
    again = await receiver.subscribe(f"{subject}.large")
    await receiver.flush()
    for _ in range(200):
        await sender.publish(f"{subject}.large", large)
        try:
            message = await again.next_msg(timeout=1)
        except TimeoutError:
            continue
        assert message.data == large, len(message.data)
        break
    else:
        raise AssertionError("a large message does not arrive")
    await again.unsubscribe()
    passed(f"messages {name}", "200, each once and in order, and a large one")


async def queues(sender, receiver, name, other):
    subject = f"open.jobs.{name}"
    members = [await Heard.on(receiver, subject, "workers") for _ in range(2)]
    first, second = members
    both = Heard()
    both.bodies = first.bodies
    for _ in range(200):
        await sender.publish(subject, b"probe")
        await sender.flush()
        if first.bodies or second.bodies:
            break
        await asyncio.sleep(0.05)
    for number in range(100):
        await sender.publish(subject, str(number).encode())
    await sender.flush()
    await other()
    got = sorted(int(body) for member in members for body in member.own())
    assert got == list(range(100)), got
    # With members on both sides each message still gets to one of them.
    here = await Heard.on(sender, subject, "workers")
    await other()
    for client in (sender, receiver):
        for number in range(50):
            await client.publish(subject, f"{'s' if client is sender else 'r'}{number}".encode())
        await client.flush()
    await other()
    got = sorted(body for member in (*members, here) for body in member.own() if body[0] in "sr")
    assert len(got) == len(set(got)) == 100, got
    for one in (*members, here):
        await one.subscription.unsubscribe()
    passed(f"queue groups {name}", f"100 and 100, each to one member; {len(here.own())} to the member at the sender")


async def requests(asker, answerer, name):
    subscription = await answering(answerer, f"open.service.{name}")
    await asked(asker, f"open.service.{name}", b"first")
    bodies = [str(number).encode() for number in range(50)]
    answers = await asyncio.gather(*(asker.request(f"open.service.{name}", body, timeout=5) for body in bodies))
    assert [answer.data for answer in answers] == [b"answer to " + body for body in bodies]
    await subscription.unsubscribe()
    passed(f"requests {name}", len(answers))


async def nobody(client, name):
    # Wildcards of earlier checks count as responders until their end is known on this side, too.
    for _ in range(20):
        try:
            await client.request(f"open.nobody.{name}", b"", timeout=0.5)
        except NoRespondersError:
            return passed(f"no responders {name}")
        except TimeoutError:
            continue


async def held_back(sender, receiver, name, other):
    exact = await Heard.on(receiver, f"closed.{name}")
    wide = await Heard.on(receiver, ">")
    opened = await Heard.on(receiver, f"open.held.{name}")
    await reached(opened, sender, f"open.held.{name}")
    for _ in range(10):
        await sender.publish(f"closed.{name}", b"not for the other side")
    await sender.publish(f"open.held.{name}", b"after")
    await opened.until(lambda: "after" in opened.bodies, f"held back {name}")
    await other()
    assert not exact.bodies and "not for the other side" not in wide.bodies, (exact.bodies, wide.bodies)
    assert "after" in wide.bodies, wide.bodies
    await receiver.publish(f"closed.{name}", b"on its own side it passes")
    await exact.until(lambda: len(exact.bodies) == 1, "its own side")
    for one in (exact, wide, opened):
        await one.subscription.unsubscribe()
    passed(f"permissions {name}", "closed subjects stay, open ones pass, also to a wildcard")


async def main():
    near, far = await connect(PLAN["near"]), await connect(PLAN["far"])
    strangers = [await connect(place) for place in PLAN["strangers"]]
    overheard = [await Heard.on(client, ">") for client in strangers]

    async def other():
        await fence(near, far)

    for sender, receiver, name in ((near, far, "outward"), (far, near, "inward")):
        await messages(sender, receiver, name, other)
        await queues(sender, receiver, name, other)
        await requests(sender, receiver, name)
        await held_back(sender, receiver, name, other)
        await nobody(sender, name)
    await other()
    for client in strangers:
        await client.flush()
    assert not any(one.bodies for one in overheard), [one.bodies for one in overheard]
    passed("isolation", f"{len(strangers)} strangers heard nothing")
    for client in (near, far, *strangers):
        await client.close()


asyncio.run(asyncio.wait_for(main(), 100))
