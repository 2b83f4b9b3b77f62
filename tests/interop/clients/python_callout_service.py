"""An auth callout service on the Python client; prints one JSON line for each question that it answered.

Environment: NATS_URL, NATS_CA, ISSUER (seed of the account key that signs), AUTH_USER, AUTH_PASSWORD or AUTH_CREDS; XKEY, if
questions are sealed: the seed of the curve key. Whoever says the password `open sesame`, or has a user JWT with the name
`welcome`, becomes a user who may use `app.>`: in account APP, or in that of the key that signs.
"""

import asyncio
import base64
import json
import os
import ssl
import time

import nacl.public
import nacl.utils
import nats
import nkeys

HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
ISSUER = nkeys.from_seed(os.environ["ISSUER"].encode())


SEALED = b"xkv1"


def curve_bytes(text, skip):
    return base64.b32decode(text + "=" * (-len(text) % 8))[skip:skip + 32]


def box(message):
    """What opens the question and seals the answer; None where both are plain."""
    if not os.environ.get("XKEY"):
        return None
    own = nacl.public.PrivateKey(curve_bytes(os.environ["XKEY"], 2))
    return nacl.public.Box(own, nacl.public.PublicKey(curve_bytes(message.headers["Nats-Server-Xkey"], 1)))


def encoded(part):
    data = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def signed(kind, subject, audience, claims, name=""):
    claims = {
        "jti": "x", "iat": int(time.time()), "iss": ISSUER.public_key.decode(), "sub": subject,
        "nats": {"type": kind, "version": 2, **claims},
    }
    if audience:
        claims["aud"] = audience
    if name:
        claims["name"] = name
    text = f"{encoded(HEADER)}.{encoded(claims)}"
    return f"{text}.{encoded(ISSUER.sign(text.encode()))}"


def who(request):
    return request["nats"]["connect_opts"].get("user") or request["nats"]["client_info"].get("name_tag")


def decide(request):
    sent, key = request["nats"]["connect_opts"], request["nats"]["user_nkey"]
    name = who(request)
    if sent.get("pass") != "open sesame" and request["nats"]["client_info"].get("name_tag") != "welcome":
        return {"error": "not the word"}
    lists = {"allow": ["app.>", "_INBOX.>"]}
    user = {"pub": lists, "sub": lists, "subs": -1, "data": -1, "payload": -1}
    return {"jwt": signed("user", key, "" if sent.get("jwt") else "APP", user, name)}


async def main():
    tls = ssl.create_default_context(cafile=os.environ["NATS_CA"])
    creds = os.environ.get("AUTH_CREDS")
    own = {"user": os.environ["AUTH_USER"], "password": os.environ["AUTH_PASSWORD"]} if not creds else {"user_credentials": creds}
    client = await nats.connect(os.environ["NATS_URL"], tls=tls, **own)

    async def asked(message):
        sealing = box(message)
        body = message.data
        if sealing:
            assert body.startswith(SEALED), body[:8]
            body = sealing.decrypt(body[len(SEALED):])
        request = decoded(body.decode())
        assert request["aud"] == "nats-authorization-request", request["aud"]
        assert request["iss"] == request["nats"]["server_id"]["id"]
        answer = decide(request)
        server, key = request["nats"]["server_id"]["id"], request["nats"]["user_nkey"]
        response = signed("authorization_response", key, server, answer).encode()
        if sealing:
            response = SEALED + bytes(sealing.encrypt(response, nacl.utils.random(nacl.public.Box.NONCE_SIZE)))
        await message.respond(response)
        kind = request["nats"]["client_info"]["kind"]
        print(json.dumps({"answered": who(request), "kind": kind, "with": list(answer)[0]}), flush=True)

    await client.subscribe("$SYS.REQ.USER.AUTH", cb=asked)
    await client.flush()
    print("service is ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
