import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

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

/** A real server on a free port and a temporary folder. */
export class Throng {
  private constructor(
    private readonly child: ChildProcess,
    private readonly data: string,
    readonly url: string,
  ) {}

  static async start(): Promise<Throng> {
    const data = mkdtempSync(join(tmpdir(), "throng-web-"));
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(program, ["serve", "--data", data, "--listen", address], { stdio: "ignore" });
    const server = new Throng(child, data, `http://${address}`);
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const ready = await fetch(`${server.url}/ready`).then(
        (response) => response.ok,
        () => false,
      );
      if (ready) return server;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${program} was not ready after 10 s`);
  }

  createApp(name: string): App {
    return JSON.parse(execFileSync(program, ["app", "create", name, "--data", this.data], { encoding: "utf8" })) as App;
  }

  async send(app: App, events: object[], headers: Record<string, string> = {}): Promise<void> {
    const response = await fetch(`${this.url}/api/v1/events/batch`, {
      method: "POST",
      headers: { authorization: `Bearer ${app.write_key}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ events }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    await ended;
    rmSync(this.data, { recursive: true, force: true });
  }
}
