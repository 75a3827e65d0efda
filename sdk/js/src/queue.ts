import type { Store } from "./store.js";

/** An event that waits. */
export interface Queued {
  key: string;
  json: string;
  /** When it was sent without the answer being known yet, 0 if never. */
  triedAt: number;
  /** Of `json` in a request. */
  bytes: number;
}

/**
 * The events that wait, oldest first.
 *
 * Each is one entry of the store under a key of its own. All tabs of a site share the store; since nobody ever rewrites a list, none can
 * lose another's events, and since an event keeps its `insert_id`, one that two tabs send counts once.
 */
export interface Queue {
  /** Puts an event at the end. */
  add: (insertId: string, json: string, now: number) => void;
  /** How many wait, those of other tabs included. */
  size: () => number;
  /** Events that were dropped: the oldest of a full queue, damaged ones, and those that were in doubt too long. */
  dropped: () => number;
  /** The oldest events that are not being sent, as long as they fit; one that never fits comes alone. `ownOnly`: those of this page that fit. */
  next: (maxEvents: number, maxBytes: number, now: number, ownOnly: boolean) => Queued[];
  /** Marks events as sent with an unknown outcome, before they are: the page may be gone when the answer comes. */
  begin: (batch: readonly Queued[], now: number) => void;
  /** They are not being sent any more. `inDoubt`: the server may have them. */
  end: (batch: readonly Queued[], inDoubt: boolean) => void;
  /** Removes events that are stored, or that will never be. */
  remove: (batch: readonly Pick<Queued, "key">[]) => void;
  clear: () => void;
}

const PREFIX = "event.";
/** The server knows an insert id again for 7 days. What may have arrived longer ago than this is not sent again, so that it cannot count twice. */
const LONGEST_DOUBT_MS = 6 * 86_400_000;

export function queueIn(store: Store, maxEvents: number): Queue {
  const own = new Set<string>();
  const inFlight = new Set<string>();
  let dropped = 0;
  let lastOrder = 0;

  const keys = (): string[] => store.keys().filter((key) => key.startsWith(PREFIX)).sort();

  const remove = (key: string): void => {
    store.remove(key);
    own.delete(key);
    inFlight.delete(key);
  };

  const drop = (key: string): void => {
    remove(key);
    dropped += 1;
  };

  /** `null` for an event that is gone, damaged by another script, or too long in doubt; it is then removed. */
  const read = (key: string, now: number): Queued | null => {
    const value = store.get(key);
    if (value === null) return null;
    const space = value.indexOf(" ");
    const [triedAt, json] = [Number(value.slice(0, space)), value.slice(space + 1)];
    const isInDoubtTooLong = triedAt > 0 && now - triedAt > LONGEST_DOUBT_MS;
    if (isObject(json) && !isInDoubtTooLong) return { key, json, triedAt, bytes: new TextEncoder().encode(json).length + 1 };
    drop(key);
    return null;
  };

  return {
    add: (insertId, json, now) => {
      const waiting = keys();
      waiting.slice(0, Math.max(0, waiting.length + 1 - maxEvents)).forEach(drop);
      // Keys sort as events came, also those of one millisecond.
      lastOrder = Math.max(now, lastOrder + 1);
      const key = `${PREFIX}${lastOrder.toString(36).padStart(9, "0")}.${insertId}`;
      own.add(key);
      store.set(key, `0 ${json}`);
    },
    size: () => keys().length,
    dropped: () => dropped,
    next: (maxEvents, maxBytes, now, ownOnly) => {
      const batch: Queued[] = [];
      let bytes = 0;
      for (const key of keys()) {
        if (batch.length === maxEvents) break;
        if (inFlight.has(key) || (ownOnly && !own.has(key))) continue;
        const queued = read(key, now);
        if (queued === null) continue;
        bytes += queued.bytes;
        if (bytes > maxBytes && (ownOnly || batch.length > 0)) break;
        batch.push(queued);
      }
      return batch;
    },
    begin: (batch, now) => {
      for (const { key, json, triedAt } of batch) {
        inFlight.add(key);
        if (triedAt === 0) store.set(key, `${now} ${json}`);
      }
    },
    end: (batch, inDoubt) => {
      for (const { key, json, triedAt } of batch) {
        inFlight.delete(key);
        if (!inDoubt && triedAt === 0 && store.get(key) !== null) store.set(key, `0 ${json}`);
      }
    },
    remove: (batch) => { batch.forEach(({ key }) => { remove(key); }); },
    clear: () => { keys().forEach(remove); },
  };
}

/** One damaged event would make the whole request unreadable. */
function isObject(json: string): boolean {
  try {
    return typeof JSON.parse(json) === "object";
  } catch {
    return false;
  }
}
