import { afterEach, beforeEach, expect, test } from "vitest";

import type { Client } from "../src/client.js";
import type { Options } from "../src/options.js";
import { Endpoint, pageAt, program, start } from "./support.js";

/**
 * `sdk/spec` holds each kind of request as the SDK sends it. Here it is compared with what is sent now; a test of the gateway sends it and
 * demands that all is accepted. Neither side can drift. `npx vitest run test/spec.test.ts --update` writes the files anew.
 */
let endpoint: Endpoint;

beforeEach(async () => {
  endpoint = await Endpoint.start();
});

afterEach(() => endpoint.stop());

const ADDRESS = "https://shop.example/sale?utm_source=newsletter&utm_medium=email&utm_campaign=spring&utm_term=shoes&utm_content=top";

async function check(name: string, client: Client): Promise<void> {
  expect(await client.flush()).toBe(true);
  expect(endpoint.received).toHaveLength(1);
  const { body, text } = endpoint.received[0] as (typeof endpoint.received)[0];
  expect(JSON.stringify(body), "the file shows what is on the wire").toBe(text);
  await expect(`${JSON.stringify(body, null, 2)}\n`).toMatchFileSnapshot(`../../spec/${name}.json`);
}

function onPage(options: Partial<Options> = {}): Client {
  const here = pageAt(ADDRESS, { referrer: "https://search.example/find?q=shoes" });
  here.window.document.title = "Spring sale";
  return start(here.env, endpoint, options);
}

test("page_view", () => check("page_view", onPage({ pageViews: true })));

test("track", () => {
  const client = onPage({ properties: { app_version: "1.4.0" } });
  client.track("add_to_cart", { product: "Ceramic mug", price: 19.5, quantity: 2, gift: false, tags: ["kitchen"], size: { height_mm: 95 }, coupon: null });
  return check("track", client);
});

test("identify", () => {
  const client = onPage();
  client.identify("U1", { plan: "pro", signed_up_at: "2026-05-01T08:00:00Z" });
  client.track("purchase", { price: 39 });
  return check("identify", client);
});

test("alias", () => {
  const client = onPage();
  client.identify("U1");
  client.alias("u1@shop.example");
  return check("alias", client);
});

test("cookieless", () => {
  const client = onPage({ cookieless: true, pageViews: true });
  client.track("add_to_cart", { price: 19.5 });
  client.identify("U1", { plan: "free" });
  client.track("purchase", { price: 19.5 });
  return check("cookieless", client);
});

test("server program", () => {
  const client = start(program(), endpoint);
  client.track("invoice_paid", { amount: 120 }, { userId: "U1" });
  client.track("visit", { url: "/pricing" }, { anonymousId: "A1", timestamp: 1_779_999_990_000 });
  client.track("job_finished", { duration_ms: 812 });
  client.identify("U1", { plan: "team" });
  client.alias("crm-17", { userId: "U1" });
  return check("server_program", client);
});
