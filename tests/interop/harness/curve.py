"""Curve keys, for what is sealed between a broker and a callout service."""

from dataclasses import dataclass

# `nats auth nkey gen` prints the seed alone.
PUBLIC = """
import base64, os, binascii, nacl.public
seed = os.environ["SEED"]
key = bytes(nacl.public.PrivateKey(base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34]).public_key)
raw = bytes([23 << 3]) + key
print(base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("="))
"""


@dataclass
class Curve:
    """A curve key; with nothing in it where nothing is to be sealed."""

    public: str = ""
    seed: str = ""


def make(context):
    """A new curve key."""
    seed = context.succeed((context.peers.nats, "auth", "nkey", "gen", "x25519")).split()[0]
    return Curve(context.run((context.peers.python, "-c", PUBLIC), {"SEED": seed}, 20).text.strip(), seed)
