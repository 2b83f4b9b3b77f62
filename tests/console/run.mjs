#!/usr/bin/env node
// The console in a real browser: Chromium, headless, over TLS, against the real binary. See docs/testing.md.
//
//   npm install --prefix tests/console
//   node tests/console/run.mjs [--cordon PATH] [--shots FOLDER]
//
// Prints `ok` for each thing that was seen. Exits with 1 at the first that is not as it should be, and with 0 and a line
// that begins with SKIPPED when there is no Chromium or no playwright-core.

import { spawn, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";

const here = dirname(fileURLToPath(import.meta.url));
const option = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

function skip(why) {
  console.log(`SKIPPED  console in a browser: ${why}`);
  process.exit(0);
}

const chromium = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => path && existsSync(path));
if (!chromium) skip("no Chromium (set CHROMIUM, or install the package `chromium`)");
const driver = await import("playwright-core").catch(() => skip("no playwright-core (npm install --prefix tests/console)"));

const target = process.env.CARGO_TARGET_DIR ?? join(here, "../../target");
const cordon = [option("cordon"), join(target, "release/cordon"), join(target, "debug/cordon")]
  .find((path) => path && existsSync(path));
if (!cordon) {
  console.error("FAIL  no cordon binary: build it, or name it with --cordon");
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "cordon-console-"));
const shots = option("shots") && resolve(option("shots"));
if (shots) mkdirSync(shots, { recursive: true });

/** Starts `cordon serve` and waits until it says where it is. */
async function serve() {
  const child = spawn(resolve(cordon), ["serve", "--data", "data", "--port", "0", "--admin-port", "0", "--monitor-port", "0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  let said = "";
  const address = await new Promise((found, failed) => {
    child.on("exit", (code) => failed(new Error(`cordon serve ended with ${code}`)));
    child.stdout.on("data", (text) => {
      said += text;
      const line = /console\s+(https:\S+)/.exec(said);
      if (line) found(line[1]);
    });
  });
  return { child, address, token: readFileSync(join(folder, "data/admin-token"), "utf8").trim() };
}

/** The certificate of the installation, by the hash that Chromium takes: nothing else is trusted. */
function pin() {
  const pem = ["data/tls/server.pem", "data/tls/cert.pem", "data/tls/server-cert.pem"].map((name) => join(folder, name)).find(existsSync);
  if (!pem) return [];
  const key = execFileSync("openssl", ["x509", "-in", pem, "-noout", "-pubkey"]);
  const der = execFileSync("openssl", ["pkey", "-pubin", "-outform", "der"], { input: key });
  const hash = execFileSync("openssl", ["dgst", "-sha256", "-binary"], { input: der }).toString("base64");
  return [`--ignore-certificate-errors-spki-list=${hash}`];
}

async function command(api, token, path, body) {
  const ca = readFileSync(join(folder, "data/ca/ca.pem"));
  const { request } = await import("node:https");
  const url = new URL(`/api/v1/${path}`, api);
  const text = JSON.stringify(body);
  return new Promise((done, failed) => {
    const sent = request(url, { method: "POST", ca, headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "content-length": Buffer.byteLength(text) } }, (answer) => {
      let all = "";
      answer.on("data", (piece) => (all += piece));
      answer.on("end", () => (answer.statusCode < 300 ? done(JSON.parse(all)) : failed(new Error(`${path}: ${all}`))));
    });
    sent.on("error", failed);
    sent.end(text);
  });
}

function ok(what) {
  console.log(`ok    ${what}`);
}

/** What assistive technology needs of any page: one heading, landmarks, a label for each field, contrast of text. */
async function accessible(page, name) {
  const found = await page.evaluate(() => {
    const wrong = [];
    if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
    for (const landmark of ["main", "header"]) if (!document.querySelector(landmark)) wrong.push(`no ${landmark}`);
    for (const field of document.querySelectorAll("input:not([type=hidden]),select,textarea")) {
      if (!field.labels?.length && !field.getAttribute("aria-label")) wrong.push(`no label: ${field.name}`);
    }
    for (const table of document.querySelectorAll("table")) if (!table.caption) wrong.push("a table without a caption");
    const light = (colour) => {
      const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((part) => {
        const value = part / 255;
        return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!/, 0\)$|transparent/.test(colour)) return colour;
      }
      return "rgb(255,255,255)";
    };
    for (const element of document.querySelectorAll("body *")) {
      const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!text || !element.checkVisibility() || element.closest(".skip")) continue;
      const [one, other] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
      if ((one + 0.05) / (other + 0.05) < 4.5) wrong.push(`contrast: ${element.tagName} ${element.className} ${element.textContent.trim().slice(0, 30)}`);
    }
    return wrong;
  });
  assert.deepEqual(found, [], `${name} is not accessible`);
}

async function look(page, name) {
  await accessible(page, name);
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

/** The whole story; with and without JavaScript. */
async function story(browser, site, script) {
  const context = await browser.newContext({ javaScriptEnabled: script, colorScheme: script ? "light" : "dark", acceptDownloads: true });
  const complaints = [];
  context.on("console", (message) => message.type() === "error" && !/favicon|status of 4/.test(message.text()) && complaints.push(message.text()));
  context.on("request", (request) => /^(https:\/\/localhost|data:)/.test(request.url()) || complaints.push(`loads ${request.url()}`));
  let page = await context.newPage();
  const suffix = script ? "" : "-no-script";
  const shot = async (name) => (script ? look(page, name) : shots && page.screenshot({ path: join(shots, `${name}${suffix}.png`), fullPage: true }));

  await page.goto(site.address);
  assert.match(page.url(), /sign-in/);
  await shot("sign-in");
  await page.getByLabel("API token").fill("cdn_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("API token").fill(site.token);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Accounts" }).waitFor();
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite], ["__Host-cordon", true, true, "Strict"]);
  await shot("accounts");
  ok(`signs in by keyboard, with a cookie that is kept close${suffix}`);

  const [maker, buyer] = [`maker${suffix}`, `buyer${suffix}`];
  await page.getByRole("link", { name: maker, exact: true }).click();
  await shot("account");
  await page.getByRole("link", { name: "Issue a user…" }).click();
  await page.getByLabel("Name", { exact: true }).fill("<b>ann</b>");
  await page.getByLabel("May publish to", { exact: true }).fill("orders.>");
  await shot("user-new");
  await page.getByRole("button", { name: "Issue the user" }).click();
  await page.getByText("shown this once").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Save the creds file" }).click()]);
  assert.match(readFileSync(await download.path(), "utf8"), /BEGIN USER NKEY SEED/);
  await page.goBack();
  await page.goForward().catch(() => {}); // an error page is as good
  assert.equal(await page.getByText("NKEY SEED").count(), 0, "the page with creds is kept nowhere");
  // Chromium asks before it sends the form again: this tab is left at that question.
  await page.close();
  page = await context.newPage();
  ok(`issues a user whose creds are saved and shown once${suffix}`);

  await page.goto(site.address);
  await page.getByRole("link", { name: maker, exact: true }).click();
  assert.equal(await page.locator("main b").count(), 0, "a name is no markup");
  await page.getByRole("link", { name: "Shares" }).click();
  await page.getByRole("link", { name: "Share something…" }).click();
  await page.getByLabel("What", { exact: true }).selectOption("bucket");
  await page.getByLabel("Its name").fill("CONFIG");
  await page.getByLabel("With which account").fill(buyer);
  await shot("share-new");
  await page.getByRole("button", { name: "Offer it" }).click();
  await page.getByText("The share is offered.").waitFor();
  await page.goto(site.address);
  await page.getByRole("link", { name: buyer, exact: true }).click();
  await page.getByRole("link", { name: "Shares" }).click();
  await page.getByRole("link", { name: "bucket CONFIG" }).click();
  await page.getByLabel("Prefix of the API").fill("maker.API");
  await shot("share-offered");
  await page.getByRole("button", { name: "Take it up" }).click();
  await page.getByText("The share is taken up.").waitFor();
  await page.getByRole("link", { name: "Shares" }).click();
  await shot("shares");
  await page.getByRole("link", { name: "bucket CONFIG" }).click();
  await page.getByRole("link", { name: "End…" }).click();
  await page.getByRole("heading", { name: "What it would do now" }).waitFor();
  await shot("confirm");
  await page.getByRole("button", { name: "End the share" }).click();
  await page.getByText("The share is ended.").waitFor();
  ok(`offers a bucket, takes it up and ends it${suffix}`);

  await page.getByRole("link", { name: "Connections" }).click();
  await shot("connections");
  await page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: "Ledger" }).click();
  await page.getByText("share.end").first().waitFor();
  await page.locator("details summary").first().click();
  await shot("ledger");
  await page.getByRole("link", { name: "API tokens" }).click();
  await shot("tokens");
  ok(`shows connections, ledger and tokens${suffix}`);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  await page.goto(`${site.address}/ledger`);
  assert.match(page.url(), /sign-in/);
  assert.deepEqual(complaints, [], "the browser complains");
  ok(`signs out for good${suffix}`);
  await context.close();
}

const site = await serve();
let failed;
let browser;
try {
  for (const name of ["maker", "buyer", "maker-no-script", "buyer-no-script"]) {
    await command(site.address, site.token, "accounts", { name });
  }
  const trusted = pin();
  browser = await driver.chromium.launch({
    executablePath: chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", ...trusted],
  });
  for (const script of [true, false]) await story(browser, site, script);
} catch (error) {
  failed = error;
} finally {
  await browser?.close();
  site.child.removeAllListeners("exit");
  const ended = new Promise((done) => site.child.on("exit", done));
  site.child.kill("SIGTERM");
  await ended;
  rmSync(folder, { recursive: true, force: true });
}
if (failed) {
  console.error(`FAIL  ${failed.stack}`);
  process.exit(1);
}
