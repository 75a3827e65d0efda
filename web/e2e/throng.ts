import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

import { type Preview, previewBefore } from "./preview.ts";

const targetFolder = process.env["CARGO_TARGET_DIR"] ?? join(homedir(), ".cache/throng/target");
const program = process.env["THRONG_BIN"] ?? join(targetFolder, "release/throng");

export interface App {
  app_id: string;
  write_key: string;
  read_key: string;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** How long a server may take to be ready. */
const READY_MS = 10_000;

/** `THRONG_WEB=preview`: the app of `dist` in place of the one in the program. */
const previews = process.env["THRONG_WEB"] === "preview";

/** A real server on a free port and a temporary folder, which can be stopped and started again. */
export class Throng {
  private child: ChildProcess | null = null;
  private traffic: ChildProcess | null = null;
  private preview: Preview | null = null;
  /** What the program has said since it was started. */
  private printed = "";

  private constructor(
    private readonly data: string,
    private readonly address: string,
  ) {}

  static async start(): Promise<Throng> {
    const server = new Throng(mkdtempSync(join(tmpdir(), "throng-web-")), `127.0.0.1:${await freePort()}`);
    await server.run();
    if (previews) server.preview = await previewBefore(server.origin);
    return server;
  }

  /** Where a browser finds the app. */
  get url(): string {
    return this.preview?.url ?? this.origin;
  }

  /** Where the program answers. */
  private get origin(): string {
    return `http://${this.address}`;
  }

  /** Starts the program on the folder and port it had. */
  async run(): Promise<void> {
    const child = spawn(program, ["serve", "--data", this.data, "--listen", this.address], { stdio: ["ignore", "ignore", "pipe"] });
    this.printed = "";
    child.stderr.on("data", (chunk: Buffer) => {
      this.printed += chunk.toString();
    });
    this.child = child;
    for (const started = Date.now(); Date.now() - started < READY_MS; ) {
      const ready = await fetch(`${this.origin}/ready`).then(
        (response) => response.ok,
        () => false,
      );
      if (ready) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${program} was not ready after ${READY_MS} ms: build it with \`cargo build --release --workspace --bins\`, or set THRONG_BIN`);
  }

  /** The token of the link for the first account. */
  setUpToken(): string {
    const token = /setup#token=(\w+)/.exec(this.printed)?.[1];
    if (token === undefined) throw new Error(`no link for the first account in: ${this.printed}`);
    return token;
  }

  /** Ends the program; its data stays. */
  async halt(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
    this.child = null;
  }

  /** The value of a gauge or counter without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.origin}/metrics`)).text();
    return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1] ?? Number.NaN);
  }

  createApp(name: string): App {
    return JSON.parse(execFileSync(program, ["app", "create", name, "--data", this.data], { encoding: "utf8" })) as App;
  }

  /** Another key of the app; an admin key may change what is saved. */
  createKey(app: App, kind: "read" | "admin"): string {
    return (JSON.parse(execFileSync(program, ["app", "add-key", app.app_id, "--kind", kind, "--data", this.data], { encoding: "utf8" })) as { key: string }).key;
  }

  /** The history of a believable shop, and live traffic beside it until the server stops. */
  async simulate(app: App, history: string[]): Promise<void> {
    const address = ["--url", this.origin, "--write-key", app.write_key];
    const arguments_ = ["simulate", ...address, ...history];
    const traffic = spawn(program, arguments_, { stdio: ["ignore", "ignore", "pipe"] });
    this.traffic = traffic;
    await new Promise<void>((resolve, reject) => {
      traffic.stderr.on("data", (chunk: Buffer) => {
        if (chunk.includes("of history sent")) resolve();
      });
      traffic.once("exit", () => {
        reject(new Error(`throng ${arguments_.join(" ")} ended`));
      });
    });
  }

  async send(app: App, events: object[], headers: Record<string, string> = {}): Promise<void> {
    const response = await fetch(`${this.origin}/api/v1/events/batch`, {
      method: "POST",
      headers: { authorization: `Bearer ${app.write_key}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ events }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  }

  /** Saves a definition, such as one of `cohorts`. */
  async save(app: App, call: string, definition: object): Promise<void> {
    const response = await fetch(`${this.origin}/api/v1/analytics/${app.app_id}/${call}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.createKey(app, "admin")}`, "content-type": "application/json" },
      body: JSON.stringify(definition),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  }

  /** Saves a definition under `/api/v1/apps`, such as one of `dashboards`. */
  async saveInApp(app: App, adminKey: string, call: string, definition: object): Promise<void> {
    await this.changeInApp(app, adminKey, "POST", call, definition);
  }

  async deleteInApp(app: App, adminKey: string, call: string): Promise<void> {
    await this.changeInApp(app, adminKey, "DELETE", call);
  }

  private async changeInApp(app: App, adminKey: string, method: string, call: string, body?: object): Promise<void> {
    const response = await fetch(`${this.origin}/api/v1/apps/${app.app_id}/${call}`, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  }

  /** Ends the program and removes its data. */
  async stop(): Promise<void> {
    this.traffic?.removeAllListeners("exit").kill();
    await this.preview?.close();
    await this.halt();
    rmSync(this.data, { recursive: true, force: true });
  }
}
