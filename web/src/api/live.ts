import { useEffect, useState } from "react";

import type { Session } from "../session.ts";
import { ApiError, analyticsPath, errorOf } from "./client.ts";
import type { Live } from "./types.ts";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;

/** What the page knows of the stream. `receivedAt` is when the newest state came, in the browser's clock. */
export interface LiveState {
  live: Live | null;
  receivedAt: number | null;
  connected: boolean;
  error: ApiError | null;
}

/** Splits a stream of server-sent events into their data; comments (heartbeats) give nothing. */
export function takeEvents(buffer: string): { data: string[]; rest: string } {
  const blocks = buffer.split(/\r?\n\r?\n/);
  const rest = blocks.pop() ?? "";
  const data = blocks
    .map((block) =>
      block
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n"),
    )
    .filter((text) => text !== "");
  return { data, rest };
}

/** Follows one stream until it ends or `signal` aborts. */
async function follow(session: Session, query: string, signal: AbortSignal, onState: (live: Live) => void): Promise<void> {
  const response = await fetch(analyticsPath(session, `realtime/stream?${query}`), { headers: { authorization: `Bearer ${session.key}` }, signal });
  if (!response.ok || response.body === null) throw await errorOf(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const { data, rest } = takeEvents(buffer + value);
    buffer = rest;
    const newest = data.at(-1);
    if (newest !== undefined) onState(JSON.parse(newest) as Live);
  }
}

/** The app's live numbers: reconnects by itself with growing, jittered pauses; disconnects while the tab is hidden. */
export function useLive(session: Session, query: string): LiveState {
  const [state, setState] = useState<LiveState>({ live: null, receivedAt: null, connected: false, error: null });
  useEffect(() => {
    let stopped = false;
    let failures = 0;
    let timer = 0;
    let controller = new AbortController();
    const onState = (live: Live) => {
      failures = 0;
      setState({ live, receivedAt: Date.now(), connected: true, error: null });
    };
    const connect = async () => {
      controller = new AbortController();
      const { signal } = controller;
      const error = await follow(session, query, signal, onState).then(
        () => null,
        (reason: unknown) => (reason instanceof ApiError ? reason : new ApiError(0, "unreachable", "The server cannot be reached.")),
      );
      if (stopped || signal.aborted) return;
      setState((before) => ({ ...before, connected: false, error }));
      // A key that is refused stays refused; anything else may pass.
      if (error !== null && (error.status === 401 || error.status === 403)) return;
      const pause = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures) * (0.5 + Math.random() / 2);
      failures += 1;
      timer = window.setTimeout(() => void connect(), pause);
    };
    const onVisibility = () => {
      controller.abort();
      window.clearTimeout(timer);
      setState((before) => ({ ...before, connected: false }));
      if (!document.hidden) void connect();
    };
    document.addEventListener("visibilitychange", onVisibility);
    if (!document.hidden) void connect();
    return () => {
      stopped = true;
      controller.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisibility);
    };
  }, [session, query]);
  return state;
}
