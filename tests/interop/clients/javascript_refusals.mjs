// What the JavaScript client is told when it may not; prints one JSON line for each refusal that it got.
// Environment: NATS_URL, NATS_CA, CREDS (a user who may use only `open.>`), BAD_CREDS, CLIENT_PACKAGES.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.CLIENT_PACKAGES}/package.json`);
const { connect, credsAuthenticator, errors } = require("@nats-io/transport-node");

const passed = (name, detail = "") => console.log(JSON.stringify({ passed: name, detail: String(detail) }));
const open = (creds, tls = { caFile: process.env.NATS_CA }) =>
  connect({
    servers: process.env.NATS_URL,
    tls,
    reconnect: false,
    maxReconnectAttempts: 0,
    ...(creds ? { authenticator: credsAuthenticator(readFileSync(creds)) } : {}),
  });

/** The permission violations of a connection, in the order in which they arrive. */
function violations(client) {
  const waiting = [];
  const arrived = [];
  (async () => {
    for await (const status of client.status()) {
      if (status.type !== "error") continue;
      const wanted = waiting.shift();
      wanted ? wanted(status.error) : arrived.push(status.error);
    }
  })();
  return () => new Promise((resolve) => (arrived.length ? resolve(arrived.shift()) : waiting.push(resolve)));
}

async function refusedConnect(name, creds) {
  await assert.rejects(open(creds), (error) => {
    assert.ok(error instanceof errors.AuthorizationError, `${error}`);
    passed(name, error.message);
    return true;
  });
}

setTimeout(() => process.exit(3), 45_000).unref();
const client = await open(process.env.CREDS);
const next = violations(client);

client.publish("closed.door", "knock");
let error = await next();
assert.deepEqual([error.operation, error.subject], ["publish", "closed.door"]);
passed("publish", error.message);

client.subscribe("closed.door", { callback: () => {} });
error = await next();
assert.deepEqual([error.operation, error.subject, error.queue], ["subscription", "closed.door", undefined]);
passed("subscribe", error.message);

client.subscribe("closed.door", { queue: "thieves", callback: () => {} });
error = await next();
assert.deepEqual([error.operation, error.subject, error.queue], ["subscription", "closed.door", "thieves"]);
passed("queue", error.message);

const subscription = client.subscribe("open.door", { max: 1 });
client.publish("open.door", "come in");
for await (const message of subscription) assert.equal(message.string(), "come in");
passed("what is allowed still works");
await client.close();

await refusedConnect("another's seed", process.env.BAD_CREDS);
await refusedConnect("no creds", null);
await assert.rejects(open(process.env.CREDS, {}), (refused) => {
  passed("a certificate of an unknown authority is not trusted", refused.cause?.code ?? refused.cause?.message ?? refused.message);
  return true;
});
