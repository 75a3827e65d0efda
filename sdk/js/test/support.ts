import { type IncomingHttpHeaders, type IncomingMessage, type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { Window as HappyWindow } from "happy-dom";
import { expect, vi } from "vitest";

import { type Client, clientOf } from "../src/client.js";
import type { Environment, Page } from "../src/environment.js";
import { type Options, settingsOf } from "../src/options.js";
import { warnOnce } from "../src/warn.js";

export interface SentEvent {
  name: string;
  insert_id: string;
  timestamp: number;
  user_id?: string | null;
  anonymous_id?: string;
  session_id?: string;
  cookieless?: boolean;
  properties: Record<string, unknown>;
}

export interface Received {
  target: string;
  headers: IncomingHttpHeaders;
  text: string;
  body: { write_key: string; sent_at: number; events: SentEvent[] };
}

export interface Reply {
  status: number;
  body?: string;
  headers?: Record<string, string>;
}

/** What a gateway answers to a request it refuses. */
export function refusal(status: number, code: string, headers: Record<string, string> = {}): Reply {
  return { status, headers, body: JSON.stringify({ error: { code, message: `the reason for ${code}`, request_id: "r1" } }) };
}

/** An HTTP server that answers as it is told: for failures that a real gateway cannot be made to show. Without word, everything is accepted. */
export class Endpoint {
  readonly received: Received[] = [];
  readonly replies: (Reply | "cut")[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Endpoint> {
    const server = createServer();
    const endpoint = new Endpoint(server);
    server.on("request", (request: IncomingMessage, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const body = JSON.parse(text) as Received["body"];
        endpoint.received.push({ target: request.url ?? "", headers: request.headers, text, body });
        const reply = endpoint.replies.shift() ?? { status: 200 };
        if (reply === "cut") request.socket.destroy();
        else response.writeHead(reply.status, reply.headers).end(reply.body ?? JSON.stringify({ accepted: body.events.length, rejected: [] }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get events(): SentEvent[] {
    return this.received.flatMap(({ body }) => body.events);
  }

  names(): string[][] {
    return this.received.map(({ body }) => body.events.map(({ name }) => name));
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** A time of the tests' own, which stands still unless told. */
export class Clock {
  now = 1_780_000_000_000;
  private timers: { at: number; callback: () => void }[] = [];

  readonly after = (ms: number, callback: () => void): (() => void) => {
    const timer = { at: this.now + ms, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };

  /** Milliseconds to each timer that runs, but those that only limit a request. */
  get pending(): number[] {
    return this.timers.map(({ at }) => at - this.now).filter((ms) => ms !== 30_000);
  }

  advance(ms: number): void {
    this.now += ms;
    const due = this.timers.filter(({ at }) => at <= this.now);
    this.timers = this.timers.filter(({ at }) => at > this.now);
    for (const { callback } of due) callback();
  }
}

export interface Surroundings {
  env: Environment;
  clock: Clock;
  /** As the code under test sees it. */
  window: HappyWindow & { location: Location };
  navigator: { onLine: boolean; doNotTrack?: string; globalPrivacyControl?: boolean; sendBeacon: (url: string, body: string) => boolean };
}

/** A page of a site. Pages that are given one `storage` are tabs of one browser. */
export function pageAt(url: string, { storage, referrer = "", clock = new Clock(), seed = "" }: { storage?: Storage; referrer?: string; clock?: Clock; seed?: string } = {}): Surroundings {
  const window = new HappyWindow({ url }) as Surroundings["window"];
  Object.defineProperty(window.document, "referrer", { value: referrer });
  const navigator = { onLine: true, sendBeacon: () => true };
  const page = { window, document: window.document, navigator, storage: storage ?? window.localStorage, locks: null } as unknown as Page;
  return { env: { ...counting(clock, seed), page }, clock, window, navigator };
}

/** A Node.js program. */
export function program(clock = new Clock()): Environment {
  return { ...counting(clock, ""), page: null };
}

/** Randomness that counts: the first id is all `1`, and so on. */
function counting(clock: Clock, seed: string): Omit<Environment, "page"> {
  let made = 0;
  const random = (length: number): string => {
    made += 1;
    return (seed + made.toString(36)).padEnd(length, made.toString(36)).slice(0, length);
  };
  return { now: () => clock.now, random, fraction: () => 0.5, fetch: (input, init) => fetch(input, init), after: clock.after };
}

export function start(env: Environment, endpoint: { url: string }, options: Partial<Options> = {}): Client {
  const warn = warnOnce();
  const settings = settingsOf({ url: endpoint.url, writeKey: "wk_example", pageViews: false, ...options }, warn);
  if (settings === null) throw new Error("the settings are refused");
  return clientOf(env, settings, warn);
}

/** What was told to the developer. */
export function listen(): { warnings: () => string[] } {
  const spy = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  spy.mockClear();
  return { warnings: () => spy.mock.calls.map(([text]) => String(text)) };
}

export async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 5_000, interval: 5 }).toBe(true);
}
