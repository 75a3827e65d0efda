import type { Arrival } from "./arrival.js";
import type { Environment } from "./environment.js";
import type { Store } from "./store.js";

export interface Visit {
  id: string;
  /** How the visitor came. */
  arrival: Arrival;
}

/** Sessions: one goes on while no more than `idleMs` pass between two events, in whichever tab. */
export interface Session {
  /** The session that an event of now belongs to. */
  touch: (now: number) => Visit;
  /** The next event begins a new one. */
  reset: () => void;
}

interface Kept extends Visit {
  /** Time of its last event. */
  seenAt: number;
}

const KEY = "session";

/** `arrival` is how the visitor came to this page; it belongs to the session from its next event on. */
export function sessionIn(store: Store, random: Environment["random"], idleMs: number, arrival: Arrival): Session {
  const read = (): Kept | null => {
    try {
      const kept = JSON.parse(store.get(KEY) ?? "null") as Kept | null;
      return typeof kept?.id === "string" ? kept : null;
    } catch {
      return null;
    }
  };
  return {
    touch: (now) => {
      const before = read();
      const goesOn = before !== null && now - before.seenAt <= idleMs;
      const visit: Visit = { id: goesOn ? before.id : now.toString(36) + random(8), arrival };
      if (goesOn && Object.keys(arrival).length === 0) visit.arrival = before.arrival;
      arrival = {};
      store.set(KEY, JSON.stringify({ ...visit, seenAt: now } satisfies Kept));
      return visit;
    },
    reset: () => { store.remove(KEY); },
  };
}
