"""10,000 connections to the listener of leaf nodes that have proved nothing stay within a bound on memory, and disturb nobody

Statement L52: garbage, lines and compressed blocks that never end. Each stays as long as it is let.
"""

import resource
import socket
import time

from harness import server
from harness.certificates import make
from harness.check import check
from harness.nats import Nats

PEERS = ("nats",)
BROKERS = ("cordon",)

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
# As many as files may be open, where that is less.
COUNT = 10_000 if HARD == resource.RLIM_INFINITY else min(10_000, HARD - 1_000)
# Bytes for one that has proved nothing: a read, a line or a block of one, output, its task.
EACH = 32 * 1024
# Whatever happens: what is remembered of closed connections, pools of the allocator.
BESIDE = 64 * 1024 * 1024

CONFIGURATION = """
accounts {{ red {{ users: [ {{ user: "app", password: "secret" }} ] }} }}
leafnodes {{ listen: "127.0.0.1:-1", compression: {compression}, authorization {{ timeout: 60 }} }}
"""
ASK = b'INFO {"client_id":1,"compression":"s2_fast"}\r\n'
MAGIC = b"\xff\x06\x00\x00S2sTwO"

STRANGERS = {
    "say nothing": b"",
    "send half a CONNECT of 8 KiB": b'CONNECT {"name":"' + b"x" * 8_000,
    "send half a compressed block of 9 KiB": ASK + MAGIC + b"\x01\x04\x24\x00" + b"\0" * 9_100,
}
# These are answered with an error and the end.
REFUSED = {
    "send garbage": b"garbage " * 100,
    "send a compressed bomb": ASK + MAGIC + b"\x00\x10\x00\x00abcd\x80\x80\x80\x02\x00a\x01\x01\x1d\x00\xf7\xff",
    "send a line of 64 KiB": b"CONNECT " + b"x" * 65_536,
}


def memory(process):
    """What the broker has of this machine's memory, in bytes."""
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def strangers(address, said):
    """That many connections, from many addresses, each of which has said its piece."""
    sockets = []
    for number in range(COUNT):
        one = socket.socket()
        one.bind((f"127.0.{1 + number % 200}.1", 0))
        one.settimeout(20)
        one.connect(address)
        try:
            one.sendall(said)
        except OSError:
            pass  # It was thrown out before it had said all.
        sockets.append(one)
    return sockets


def settled(user):
    """A message of somebody else passes, however many strangers there are; how long it took."""
    started = time.monotonic()
    user.publish("news", "still served")
    return time.monotonic() - started


def run(context):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, COUNT + 1000), hard))
    made = make(context)
    for title, said in {**STRANGERS, **REFUSED}.items():
        compression = "s2_auto" if said.startswith(ASK) else "off"
        broker = server.start(context, "cordon", CONFIGURATION.format(compression=compression), made)
        place = broker.process.wait_for(r"(?i)listening for leafnode connections on (\S+):(\d+)")
        user = Nats(context, broker, None)
        user.command = with_password(user)
        settled(user)
        before = memory(broker.process)
        sockets = strangers((place.group(1), int(place.group(2))), said)
        took = settled(user)
        grown = memory(broker.process) - before
        check(grown <= BESIDE + COUNT * EACH, f"{COUNT} that {title}: the broker grew by {grown} bytes")
        context.show(f"{COUNT} connections that {title}: {grown / 2**20:.0f} MiB, {grown / COUNT / 1024:.1f} KiB each; a client publishes in {took:.2f} s")
        for one in sockets:
            one.close()
        broker.process.stop()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def with_password(user):
    """Commands of a user that has a password and no creds."""
    plain = user.command
    return lambda *arguments: (*plain(*arguments), "--user", "app", "--password", "secret")
