import type { Environment } from "./environment.js";
import type { Settings } from "./options.js";
import type { Queue, Queued } from "./queue.js";
import type { Outcome, Transport } from "./transport.js";
import type { Warn } from "./warn.js";

/** The server takes 10 MiB; small requests are lost less often. */
const MAX_BODY_BYTES = 512 * 1024;
/** Browsers give all requests that outlive their page 64 KiB together; the rest of a request and other scripts take some, too. */
const MAX_LEAVING_BYTES = 60_000;
const MAX_LEAVING_EVENTS = 500;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 300_000;
/** A network that is away for a moment is nobody's mistake. */
const TRIES_IN_SILENCE = 3;

/** Decides when what is in the queue is sent, and what an answer means for it. */
export interface Sender {
  /** An event was added. */
  added: () => void;
  /** Sends all that waits; true when nothing is left. */
  flush: () => Promise<boolean>;
  /** The network is back. */
  online: () => void;
  /** The page may be gone at any moment: hands what it has not sent to the browser. It stays in the queue until the server has answered. */
  leave: () => void;
}

/** `lock` names the lock by which tabs take turns; `null` where the queue is this page's alone. */
export function senderOf(env: Environment, settings: Settings, queue: Queue, transport: Transport, warn: Warn, lock: string | null): Sender {
  let running: Promise<boolean> = Promise.resolve(true);
  let following: Promise<boolean> | null = null;
  let cancelTimer: (() => void) | null = null;
  let failures = 0;
  let notBefore = 0;
  /** The pause is the server's wish, which a network that is back does not end. */
  let serverSaidLater = false;
  let leavingBytes = 0;

  const mustWait = (): boolean => env.page?.navigator.onLine === false || env.now() < notBefore;

  const wakeAfter = (ms: number): void => {
    cancelTimer ??= env.after(ms, () => {
      cancelTimer = null;
      void flush();
    });
  };

  const pause = (ms: number, isWish: boolean): void => {
    notBefore = env.now() + ms;
    serverSaidLater = isWish;
    cancelTimer?.();
    cancelTimer = null;
    wakeAfter(ms);
  };

  const settle = (batch: readonly Queued[], outcome: Outcome): void => {
    if (outcome.kind === "later") {
      const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
      failures += 1;
      if (failures > TRIES_IN_SILENCE) warn("later", `events cannot be sent and wait: ${outcome.message}`);
      // Anywhere up to the longest: clients that failed together do not come back together.
      pause(outcome.retryAfterMs + env.fraction() * longest, outcome.retryAfterMs > 0);
      return;
    }
    failures = 0;
    if (outcome.kind === "unauthorized") {
      warn(outcome.code, `events wait, since the server refused the write key (${outcome.code}): ${outcome.message}`);
      pause(LONGEST_PAUSE_MS, true);
      return;
    }
    if (outcome.kind === "too_large" && batch.length > 1) return;
    const judged = outcome.kind === "answered" ? outcome.rejected : [outcome];
    for (const { code, message } of judged) warn(code, `the server refused events, which are dropped (${code}): ${message}`);
    queue.remove(batch);
  };

  const send = async (batch: readonly Queued[], keepalive: boolean): Promise<Outcome> => {
    queue.begin(batch, env.now());
    const outcome = await transport.send(batch.map(({ json }) => json), keepalive);
    queue.end(batch, outcome.kind === "later" && !outcome.isKnown);
    settle(batch, outcome);
    return outcome;
  };

  const sendAll = async (): Promise<boolean> => {
    let size = settings.batchSize;
    while (!mustWait()) {
      const batch = queue.next(size, MAX_BODY_BYTES, env.now(), false);
      if (batch.length === 0) break;
      const outcome = await send(batch, false);
      size = outcome.kind === "too_large" ? Math.ceil(batch.length / 2) : settings.batchSize;
    }
    return queue.size() === 0;
  };

  const run = (): Promise<boolean> => {
    const locks = env.page?.locks;
    // One tab sends at a time; the next finds what is left. A page that is gone gets no lock.
    return lock !== null && locks ? locks.request(lock, sendAll).catch(() => false) : sendAll();
  };

  /** After the one under way, which may have looked already: what was added before this call is sent. */
  const flush = (): Promise<boolean> => {
    following ??= running.then(() => {
      following = null;
      running = run();
      return running;
    });
    return following;
  };

  return {
    flush,
    added: () => {
      if (queue.size() >= settings.batchSize && env.now() >= notBefore) void flush();
      else wakeAfter(settings.flushIntervalMs);
    },
    online: () => {
      failures = 0;
      if (!serverSaidLater) notBefore = 0;
      void flush();
    },
    leave: () => {
      const batch = mustWait() ? [] : queue.next(MAX_LEAVING_EVENTS, MAX_LEAVING_BYTES - leavingBytes, env.now(), true);
      if (batch.length === 0) return;
      if ("keepalive" in Request.prototype) {
        const bytes = batch.reduce((sum, queued) => sum + queued.bytes, 0);
        leavingBytes += bytes;
        void send(batch, true).finally(() => (leavingBytes -= bytes));
        return;
      }
      queue.begin(batch, env.now());
      transport.beacon(batch.map(({ json }) => json));
      queue.end(batch, true);
    },
  };
}
