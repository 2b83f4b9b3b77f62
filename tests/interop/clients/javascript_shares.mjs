// What an application does with a bucket and a stream of another account; prints one JSON line for each thing that worked.
// As OWNER it makes the bucket CONFIG and the stream ORDERS; as CREDS, a user of another account, it works with them: the
// bucket is shared to read and write, of the stream `eu.>` to read.
// Environment: NATS_URL, NATS_CA, CREDS, OWNER, CLIENT_PACKAGES.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.CLIENT_PACKAGES}/package.json`);
const { connect, credsAuthenticator } = require("@nats-io/transport-node");
const { jetstream, jetstreamManager, AckPolicy } = require("@nats-io/jetstream");
const { Kvm } = require("@nats-io/kv");

const passed = (name, detail = "") => console.log(JSON.stringify({ passed: name, detail: String(detail) }));
const open = (creds) =>
  connect({
    servers: process.env.NATS_URL,
    authenticator: credsAuthenticator(readFileSync(creds)),
    reconnect: false,
    tls: { caFile: process.env.NATS_CA },
  });

async function bucket(app, owner) {
  const theirs = await new Kvm(jetstream(owner)).create("CONFIG", { history: 3 });
  await theirs.put("colour", "red");
  const kv = await new Kvm(jetstream(app, { apiPrefix: "$JS.CONFIG.API" })).open("CONFIG");
  assert.equal((await kv.get("colour")).string(), "red");
  const watch = await kv.watch();
  const seen = [];
  const watching = (async () => {
    for await (const entry of watch) {
      seen.push(`${entry.key} ${entry.operation} ${entry.string()}`);
      if (entry.operation === "DEL") return;
    }
  })();
  await kv.put("size", "42");
  assert.equal((await theirs.get("size")).string(), "42");
  await kv.delete("colour");
  await watching;
  assert.deepEqual(seen, ["colour PUT red", "size PUT 42", "colour DEL "]);
  passed("a shared bucket is read, watched and written", seen.length);
  await assert.rejects(kv.destroy());
  passed("a shared bucket is not deleted");
}

async function orders(app, owner) {
  const own = await jetstreamManager(owner);
  await own.streams.add({ name: "ORDERS", subjects: ["eu.>", "us.>"] });
  for (const subject of ["eu.de", "us.ny", "eu.fr"]) await jetstream(owner).publish(subject, subject);
  const options = { apiPrefix: "acme.API" };
  const manager = await jetstreamManager(app, options);
  const wanted = { durable_name: "worker", filter_subject: "eu.>", ack_policy: AckPolicy.Explicit };
  await manager.consumers.add("ORDERS", wanted);
  const consumer = await jetstream(app, options).consumers.get("ORDERS", "worker");
  const seen = [];
  for await (const message of await consumer.consume()) {
    seen.push(message.subject);
    assert.ok(await message.ackAck());
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen, ["eu.de", "eu.fr"]);
  const info = await own.consumers.info("ORDERS", "worker");
  assert.equal(info.num_ack_pending, 0);
  assert.equal(info.ack_floor.stream_seq, 3);
  passed("a part of a stream is consumed and acknowledged", seen);
  await assert.rejects(manager.consumers.add("ORDERS", { ...wanted, durable_name: "other", filter_subject: "us.>" }));
  passed("another part is refused");
}

const [app, owner] = [await open(process.env.CREDS), await open(process.env.OWNER)];
passed("connect");
await bucket(app, owner);
await orders(app, owner);
await app.close();
await owner.close();
process.exit(0);
