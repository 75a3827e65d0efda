import type { Environment } from "./environment.js";

/** What became of a request. */
export type Outcome =
  /** The server has judged every event. */
  | { kind: "answered"; rejected: Rejected[] }
  /** The server will never take this request. */
  | { kind: "refused"; code: string; message: string }
  /** Smaller requests may pass. */
  | { kind: "too_large"; code: string; message: string }
  /** The key is wrong; nothing was kept. */
  | { kind: "unauthorized"; code: string; message: string }
  /** Later it may pass. `isKnown`: it was answered, so nothing was kept. */
  | { kind: "later"; isKnown: boolean; retryAfterMs: number; message: string };

export interface Rejected {
  code: string;
  message: string;
}

const TIMEOUT_MS = 30_000;
/** A server that names a later time is asked earlier all the same. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** Puts requests on the wire and understands answers. Decides nothing. */
export interface Transport {
  /** Sends events; `keepalive`: the browser goes on when the page is gone. */
  send: (events: readonly string[], keepalive: boolean) => Promise<Outcome>;
  /** For browsers whose `fetch` ends with the page. */
  beacon: (events: readonly string[]) => void;
}

export function transportTo(env: Environment, url: string, writeKey: string): Transport {
  // What a server program sends from is not where its users are.
  const target = `${url}/api/v1/events/batch${env.page === null ? "?enrich=false" : ""}`;

  /** The key and `sent_at` stand before the events, so that the server reads them once. */
  const body = (events: readonly string[]): string => `{"write_key":${JSON.stringify(writeKey)},"sent_at":${env.now()},"events":[${events.join(",")}]}`;

  /** Seconds or a date. */
  const retryAfterMs = (value: string | null): number => {
    if (value === null) return 0;
    const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - env.now();
    return ms > 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : 0;
  };

  return {
    send: async (events, keepalive) => {
      const timeout = new AbortController();
      const cancel = env.after(TIMEOUT_MS, () => { timeout.abort(); });
      try {
        // A body of text goes as text/plain: with the key in it, a browser asks no leave before it sends to another origin.
        const response = await env.fetch(target, { method: "POST", body: body(events), keepalive, credentials: "omit", signal: timeout.signal });
        return outcome(response.status, await response.text(), retryAfterMs(response.headers.get("retry-after")));
      } catch (error) {
        return later(false, 0, `${target} cannot be reached: ${String(error)}`);
      } finally {
        cancel();
      }
    },
    beacon: (events) => void env.page?.navigator.sendBeacon(target, body(events)),
  };
}

interface Answer {
  accepted?: number;
  rejected?: Rejected[];
  error?: { code: string; message: string };
}

function later(isKnown: boolean, retryAfterMs: number, message: string): Outcome {
  return { kind: "later", isKnown, retryAfterMs, message };
}

function outcome(status: number, text: string, retryAfterMs: number): Outcome {
  const answer = parse(text);
  if (answer.accepted !== undefined) return { kind: "answered", rejected: answer.rejected ?? [] };
  const code = answer.error?.code ?? `http_${status}`;
  const message = answer.error?.message ?? `the answer is ${status} and not one of Throng: is url right?`;
  if (status === 413) return { kind: "too_large", code, message };
  // A captive portal or a proxy answers in Throng's place: it says nothing of the events.
  if (answer.error === undefined) return later(status >= 400, retryAfterMs, message);
  if (status === 401 || status === 403) return { kind: "unauthorized", code, message };
  if (status === 408 || status === 429 || status >= 500) return later(true, retryAfterMs, message);
  return { kind: "refused", code, message };
}

function parse(text: string): Answer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
