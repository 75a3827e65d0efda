import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { build } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { scriptBundle } from "../bundle.js";
import config from "../vite.config.js";
import { Endpoint } from "./support.js";

const MAX_COMPRESSED_BYTES = 5_000;
const dist = mkdtempSync(join(tmpdir(), "throng-js-"));
let endpoint: Endpoint;

beforeAll(async () => {
  const module = config({ mode: "production", command: "build" });
  await build({ ...module, configFile: false, build: { ...module.build, outDir: dist } });
  await build(scriptBundle(dist));
});

afterAll(() => { rmSync(dist, { recursive: true }); });

beforeEach(async () => {
  endpoint = await Endpoint.start();
});

afterEach(() => endpoint.stop());

test("throng.js is small, one file, and needs nothing", () => {
  const script = readFileSync(join(dist, "throng.js"));
  const bytes = gzipSync(script, { level: 9 }).length;
  console.log(`throng.js: ${script.length} bytes, ${bytes} compressed`);
  expect(bytes).toBeLessThan(MAX_COMPRESSED_BYTES);
  expect(script.toString()).not.toMatch(/\b(import|require)\b *\(|\beval\b|new Function/);
});

/** Runs a program that imports the module, to its own end. */
async function run(program: string): Promise<string> {
  const file = join(dist, "program.mjs");
  writeFileSync(file, `import { init, track, flush, stats } from "./index.js";\ninit({ url: "${endpoint.url}", writeKey: "wk_example" });\n${program}`);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 20_000 });
  return stdout.trim();
}

test("a Node.js program that ends by itself has sent everything, and does not stay for it", async () => {
  await run('for (let n = 0; n < 45; n += 1) track(`e${n}`, { n }, { userId: "U1" });');
  expect(endpoint.events.map(({ properties }) => properties["n"])).toEqual(Array.from({ length: 45 }, (_, n) => n));
  expect(new Set(endpoint.events.map(({ insert_id }) => insert_id)).size).toBe(45);
  const started = Date.now();
  expect(await run("console.log(await flush(), stats().queued);")).toBe("true 0");
  expect(Date.now() - started).toBeLessThan(5_000);
});

test("a Node.js program whose server is away ends all the same", async () => {
  endpoint.replies.push("cut", "cut", "cut");
  expect(await run('track("lost"); console.log(await flush(), stats().queued);')).toBe("false 1");
});
