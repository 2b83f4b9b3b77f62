"""What the Python client is told when it may not; prints one JSON line for each refusal that it got.

Environment: NATS_URL, NATS_CA, CREDS (a user who may use only `open.>`), BAD_CREDS.
"""

import asyncio
import json
import os
import ssl

import nats


def passed(name, detail=""):
    print(json.dumps({"passed": name, "detail": str(detail)}), flush=True)


async def connect(creds, errors):
    async def failed(error):
        await errors.put(str(error))

    tls = ssl.create_default_context(cafile=os.environ["NATS_CA"])
    return await nats.connect(
        os.environ["NATS_URL"], tls=tls, user_credentials=creds, error_cb=failed, allow_reconnect=False,
        max_reconnect_attempts=0,
    )


async def expect(errors, text):
    error = await asyncio.wait_for(errors.get(), 5)
    assert text.lower() in error.lower(), error
    return error


async def bad_creds(name, creds):
    errors = asyncio.Queue()
    try:
        await connect(creds, errors)
    except Exception as error:
        said = str(error) or await errors.get()
        assert "authorization violation" in said.lower(), said
        passed(name, said)


async def untrusted_certificate():
    try:
        await nats.connect(os.environ["NATS_URL"], tls=ssl.create_default_context(), allow_reconnect=False,
                           max_reconnect_attempts=0)
    except ssl.SSLCertVerificationError as error:
        passed("a certificate of an unknown authority is not trusted", error.verify_message)


async def main():
    errors = asyncio.Queue()
    client = await connect(os.environ["CREDS"], errors)
    await client.publish("closed.door", b"knock")
    passed("publish", await expect(errors, 'permissions violation for publish to "closed.door"'))
    await client.subscribe("closed.door")
    passed("subscribe", await expect(errors, 'permissions violation for subscription to "closed.door"'))
    await client.subscribe("closed.door", queue="thieves")
    passed("queue", await expect(errors, 'permissions violation for subscription to "closed.door" using queue "thieves"'))
    subscription = await client.subscribe("open.door")
    await client.publish("open.door", b"come in")
    assert (await subscription.next_msg(timeout=5)).data == b"come in"
    passed("what is allowed still works")
    await client.close()
    await bad_creds("another's seed", os.environ["BAD_CREDS"])
    await bad_creds("no creds", None)
    await untrusted_certificate()


asyncio.run(asyncio.wait_for(main(), 45))
