"""in operator mode a callout service lets a leaf node in by its sentinel, and clients in from beyond a leaf connection"""

import json

from harness import certificates, curve, jwt, leaf, server
from harness.check import check
from harness.nats import Nats
from harness.nats_auth import NatsAuth
from harness.peers import INTEROP

PEERS = ("nats-server", "python", "nats")
BROKERS = ("cordon", "nats-server")

SIDE = """
server_name: "site"
accounts {{ A {{ users: [ {{ user: a, password: a }} ] }} }}
leafnodes {{
  reconnect: 1
  remotes: [ {{
    url: "tls://localhost:{port}", account: A, credentials: "{creds}", tls {{ ca_file: "{made.ca}" }}
  }} ]
}}
"""

# Signs the JWT of an account anew, with a service and perhaps its curve key.
SIGN = """
import base64, json, os, time, nkeys
decode = lambda text: json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
head, body, _ = os.environ["TOKEN"].split(".")
claims = decode(body)
claims["nats"]["authorization"] = json.loads(os.environ["AUTHORIZATION"])
claims["iat"] = int(time.time())
text = head + "." + encode(json.dumps(claims, separators=(",", ":")).encode())
print(text + "." + encode(nkeys.from_seed(os.environ["SEED"].encode()).sign(text.encode())))
"""


class House:
    """An operator, its account red with a service, and the creds of the service and of those whom it is asked about."""

    def __init__(self, context, made, name, sealed):
        self.context, self.made = context, made
        self.auth = NatsAuth(context, name).make_operator()
        self.red = self.auth.account("red")
        self.creds = {name: self.auth.user("red", name) for name in ("service", "welcome", "stranger")}
        authorization = {"auth_users": [jwt.claims(self.token_of("service"))["sub"]]}
        self.curve = curve.make(context) if sealed else curve.Curve()
        if sealed:
            authorization["xkey"] = self.curve.public
        token = self.auth.token("red")
        seed = self.auth.seed(jwt.claims(token)["iss"])
        self.token = self.python(SIGN, TOKEN=token, SEED=seed, AUTHORIZATION=json.dumps(authorization))

    def token_of(self, user):
        return self.creds[user].read_text().split("-----\n")[1].split("\n")[0]

    def python(self, script, **env):
        return self.context.run((self.context.peers.python, "-c", script), env, 20).text.strip()

    def hub(self, kind):
        auth, system = self.auth, self.auth.key(self.auth.system)
        text = leaf.HUB.format(
            name="hub", operator=auth.operator_token(), system=system, port=-1, more="",
            preload=f"{system}: {auth.token(auth.system)}, {self.red}: {self.token}",
            tls=leaf.TLS.format(made=self.made, more=""),
        )
        started = server.start(self.context, kind, text, self.made)
        place = started.process.wait_for(r"(?i)listening for leafnode connections on \S+:(\d+)")
        return leaf.Side("hub", started, int(place.group(1)))

    def site(self, kind, port, user):
        text = SIDE.format(port=port, creds=self.creds[user], made=self.made)
        return leaf.Side("site", server.start(self.context, kind, text, self.made))

    def service(self, at, **own):
        env = {"NATS_URL": at.url(), "NATS_CA": at.server.ca, "ISSUER": self.auth.seed(self.red), "XKEY": self.curve.seed}
        script = INTEROP / "clients" / "python_callout_service.py"
        env |= {"PYTHONDONTWRITEBYTECODE": "1", **own}
        process = self.context.start("callout service", (self.context.peers.python, script), {k: str(v) for k, v in env.items()})
        process.wait_for("service is ready")
        return process


class AtSite(Nats):
    """The `nats` command as the user of the site."""

    def __init__(self, context, broker):
        super().__init__(context, broker, None)

    def command(self, *arguments):
        return (*super().command(*arguments), "--user", "a", "--password", "a")


def run(context):
    made = certificates.make(context)
    for number, (own, other) in enumerate(((context.broker, "nats-server"), ("nats-server", context.broker))):
        for sealed in (False, True):
            house = House(context, made, f"house{number}{sealed:d}", sealed)
            decides_about_a_leaf(context, house, own, other)
            is_beyond_a_leaf(context, house, own, other)
            context.show(f"{own} asks, {other} is joined, {'sealed' if sealed else 'plain'}")


def decides_about_a_leaf(context, house, own, other):
    far = house.hub(own)
    deciding = house.service(far, AUTH_CREDS=house.creds["service"])
    kept_out = house.site(other, far.leaf_port, "stranger")
    kept_out.server.process.wait_for("Authorization Violation")
    check(not leaf.joined(far), "a stranger is not joined")
    kept_out.stop()
    near = house.site(other, far.leaf_port, "welcome")
    leaf.until_joined(near)
    deciding.wait_for('"answered": "welcome", "kind": "Leafnode"')
    there = Nats(context, far.server, house.creds["service"])
    there.subscribe("app.up", publisher=AtSite(context, near.server))
    AtSite(context, near.server).subscribe("app.down", publisher=there)
    for one in (near, far):
        one.stop()
    deciding.stop()


def is_beyond_a_leaf(context, house, own, other):
    far = house.hub(own)
    near = house.site(other, far.leaf_port, "service")
    leaf.until_joined(near)
    deciding = house.service(near, AUTH_USER="a", AUTH_PASSWORD="a")
    guest = Nats(context, far.server, house.creds["welcome"])
    guest.subscribe("app.*").stop()
    deciding.wait_for('"answered": "welcome", "kind": "Client"')
    refused = Nats(context, far.server, house.creds["stranger"]).run("pub", "app.hello", "x")
    check(refused.code != 0 and "Authorization Violation" in refused.text, "a stranger is refused", refused.text)
    for one in (near, far):
        one.stop()
    deciding.stop()
