// What an application does with the JavaScript client; prints one JSON line for each thing that worked.
// Environment: NATS_URL, NATS_CA, CREDS, CLIENT_PACKAGES.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.CLIENT_PACKAGES}/package.json`);
const { connect, credsAuthenticator, errors, headers, RequestError } = require("@nats-io/transport-node");
const { wsconnect } = require("@nats-io/nats-core");

const passed = (name, detail = "") => console.log(JSON.stringify({ passed: name, detail: String(detail) }));
const options = {
  servers: process.env.NATS_URL,
  authenticator: credsAuthenticator(readFileSync(process.env.CREDS)),
  reconnect: false,
};
const open = () =>
  process.env.NATS_URL.startsWith("wss:")
    ? wsconnect(options)
    : connect({ ...options, tls: { caFile: process.env.NATS_CA } });
const first = async (subscription) => {
  for await (const message of subscription) return message;
};

async function publishAndSubscribe(client) {
  const one = client.subscribe("javascript.*", { max: 1 });
  client.publish("javascript.one", new Uint8Array([0, 255, 7]));
  const message = await first(one);
  assert.equal(message.subject, "javascript.one");
  assert.deepEqual([...message.data], [0, 255, 7]);
  passed("publish and subscribe");

  const two = client.subscribe("javascript.*", { max: 1 });
  const h = headers();
  h.append("Kind", "weather");
  h.append("Kind", "forecast");
  client.publish("javascript.two", "body", { headers: h });
  const second = await first(two);
  assert.deepEqual(second.headers.values("Kind"), ["weather", "forecast"]);
  assert.equal(second.string(), "body");
  passed("headers", second.headers.values("Kind"));
}

async function large(client) {
  const body = new Uint8Array(client.info.max_payload).map((_, n) => (n * 7 + (n >> 8)) % 256);
  const subscription = client.subscribe("javascript.large", { max: 1 });
  client.publish("javascript.large", body);
  const message = await first(subscription);
  assert.ok(Buffer.compare(Buffer.from(message.data), Buffer.from(body)) === 0);
  passed("a message of the largest size", body.length);
}

async function requestAndReply(client) {
  client.subscribe("javascript.service", { callback: (_, message) => message.respond(`answer to ${message.string()}`) });
  assert.equal((await client.request("javascript.service", "question")).string(), "answer to question");
  passed("request and reply");
  const many = await Promise.all(Array.from({ length: 50 }, (_, n) => client.request("javascript.service", `${n}`)));
  assert.deepEqual(many.map((m) => m.string()), many.map((_, n) => `answer to ${n}`));
  passed("requests side by side", many.length);
}

async function noResponders(client) {
  await assert.rejects(client.request("javascript.nobody", ""), (error) => error instanceof RequestError && error.isNoResponders());
  passed("no responders");
  client.subscribe("javascript.silent", { callback: () => {} });
  await assert.rejects(client.request("javascript.silent", "", { timeout: 300 }), errors.TimeoutError);
  passed("a silent responder is a timeout");
}

async function queueGroup(one, two) {
  const counts = [0, 0];
  let allArrived;
  const arrived = new Promise((resolve) => (allArrived = resolve));
  [one, two].forEach((client, index) =>
    client.subscribe("javascript.jobs", {
      queue: "workers",
      callback: () => {
        counts[index] += 1;
        if (counts[0] + counts[1] === 100) allArrived();
      },
    }),
  );
  await Promise.all([one.flush(), two.flush()]);
  for (let n = 0; n < 100; n++) one.publish("javascript.jobs", "job");
  await arrived;
  // A round trip on both connections: a message sent twice would have arrived by now.
  await Promise.all([one.flush(), two.flush()]);
  assert.ok(counts[0] + counts[1] === 100 && counts.every(Boolean), `${counts}`);
  passed("queue group", counts);
}

async function limitedSubscription(client) {
  const subscription = client.subscribe("javascript.few", { max: 2 });
  for (let n = 0; n < 5; n++) client.publish("javascript.few", `${n}`);
  const got = [];
  for await (const message of subscription) got.push(message.string());
  assert.deepEqual(got, ["0", "1"]);
  passed("unsubscribe after a number of messages");
}

async function drain(client) {
  let handled = 0;
  client.subscribe("javascript.last", { callback: () => (handled += 1) });
  for (let n = 0; n < 20; n++) client.publish("javascript.last", `${n}`);
  await client.drain();
  assert.equal(handled, 20);
  assert.ok(client.isClosed());
  passed("drain", `${handled} messages handled before the close`);
}

setTimeout(() => process.exit(3), 45_000).unref();
const client = await open();
const second = await open();
passed("connect", `max_payload ${client.info.max_payload}`);
await publishAndSubscribe(client);
await large(client);
await requestAndReply(client);
await noResponders(client);
await queueGroup(client, second);
await limitedSubscription(client);
await second.close();
await drain(client);
