"""What an application does with the Python client; prints one JSON line for each thing that worked.

Environment: NATS_URL, NATS_CA, CREDS.
"""

import asyncio
import json
import os
import ssl

import nats
from nats.errors import NoRespondersError, TimeoutError


def passed(name, detail=""):
    print(json.dumps({"passed": name, "detail": str(detail)}), flush=True)


async def connect():
    tls = ssl.create_default_context(cafile=os.environ["NATS_CA"])
    return await nats.connect(
        os.environ["NATS_URL"], tls=tls, user_credentials=os.environ["CREDS"], allow_reconnect=False
    )


async def publish_and_subscribe(client):
    subscription = await client.subscribe("python.*")
    await client.publish("python.one", b"\x00\xffbytes")
    message = await subscription.next_msg(timeout=5)
    assert (message.subject, message.data) == ("python.one", b"\x00\xffbytes"), message
    passed("publish and subscribe")
    await client.publish("python.two", b"body", headers={"Kind": "weather", "Empty": ""})
    message = await subscription.next_msg(timeout=5)
    assert message.headers["Kind"] == "weather" and message.data == b"body", message.headers
    passed("headers", message.headers)
    await subscription.unsubscribe()
    await client.publish("python.three", b"nobody hears this")
    await client.flush()


async def request_and_reply(client):
    async def answer(message):
        await message.respond(b"answer to " + message.data)

    await client.subscribe("python.service", cb=answer)
    reply = await client.request("python.service", b"question", timeout=5)
    assert reply.data == b"answer to question", reply.data
    passed("request and reply")
    many = await asyncio.gather(*(client.request("python.service", str(n).encode(), timeout=5) for n in range(50)))
    assert [m.data for m in many] == [f"answer to {n}".encode() for n in range(50)]
    passed("requests side by side", len(many))


async def no_responders(client):
    try:
        await client.request("python.nobody", b"", timeout=5)
    except NoRespondersError as error:
        passed("no responders", error)
    silent = await client.subscribe("python.silent")
    try:
        await client.request("python.silent", b"", timeout=0.3)
    except TimeoutError:
        passed("a silent responder is a timeout")
    # Its unread message would hold up the drain at the end.
    await silent.next_msg(timeout=5)
    await silent.unsubscribe()


async def queue_group(first, second):
    counts = [0, 0]
    all_arrived = asyncio.Event()

    def counter(index):
        async def count(_):
            counts[index] += 1
            if sum(counts) == 100:
                all_arrived.set()

        return count

    await first.subscribe("python.jobs", queue="workers", cb=counter(0))
    await second.subscribe("python.jobs", queue="workers", cb=counter(1))
    await first.flush()
    await second.flush()
    for _ in range(100):
        await first.publish("python.jobs", b"job")
    await asyncio.wait_for(all_arrived.wait(), 5)
    # A round trip on both connections: a message sent twice would have arrived by now.
    await first.flush()
    await second.flush()
    assert sum(counts) == 100 and all(counts), counts
    passed("queue group", counts)


async def limited_subscription(client):
    subscription = await client.subscribe("python.few")
    await subscription.unsubscribe(limit=2)
    for number in range(5):
        await client.publish("python.few", str(number).encode())
    await client.flush()
    got = [message.data async for message in subscription.messages]
    assert got == [b"0", b"1"], got
    passed("unsubscribe after a number of messages")


async def drain(client):
    done = []

    async def slow(message):
        await asyncio.sleep(0)
        done.append(message.data)

    await client.subscribe("python.last", cb=slow)
    for number in range(20):
        await client.publish("python.last", str(number).encode())
    await client.drain()
    assert len(done) == 20 and client.is_closed, done
    passed("drain", f"{len(done)} messages handled before the close")


async def main():
    client = await connect()
    second = await connect()
    passed("connect", f"max_payload {client.max_payload}")
    await publish_and_subscribe(client)
    await request_and_reply(client)
    await no_responders(client)
    await queue_group(client, second)
    await limited_subscription(client)
    await second.close()
    await drain(client)


asyncio.run(asyncio.wait_for(main(), 45))
