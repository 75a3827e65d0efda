/** What the SDK takes from its surroundings. Nothing else reads a clock, makes randomness, or touches globals. */
export interface Environment {
  now: () => number;
  /** So many random letters and digits. */
  random: (length: number) => string;
  /** From 0 to 1, for pauses. */
  fraction: () => number;
  fetch: typeof fetch;
  /** Calls back after so many milliseconds; what is given cancels it. Never keeps a Node.js process alive. */
  after: (ms: number, callback: () => void) => () => void;
  /** What a browser has, `null` in Node.js. */
  page: Page | null;
  /** Calls back when a Node.js process has nothing else to do. */
  onIdleExit?: (callback: () => void) => void;
}

export interface Page {
  window: Window;
  document: Document;
  navigator: Navigator;
  /** `null` where the browser refuses it. */
  storage: Storage | null;
  /** Lets one tab send at a time; `null` in browsers without it and on pages without TLS. */
  locks: Pick<LockManager, "request"> | null;
}

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
/** Bytes from here on would make the first letters likelier than the rest. */
const FIRST_UNFAIR_BYTE = 252;

function random(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      if (byte < FIRST_UNFAIR_BYTE && text.length < length) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return text;
}

function after(ms: number, callback: () => void): () => void {
  const timer: ReturnType<typeof setTimeout> | number = setTimeout(callback, ms);
  if (typeof timer === "object") timer.unref();
  return () => {
    clearTimeout(timer);
  };
}

function page(): Page | null {
  if (typeof document === "undefined") return null;
  let storage: Storage | null = null;
  try {
    storage = localStorage;
  } catch {
    // The visitor forbade it: events wait in memory.
  }
  // Old browsers and pages without TLS have no locks, whatever the types say.
  const locks = (navigator as Partial<Navigator>).locks ?? null;
  return { window, document, navigator, storage, locks };
}

export function surroundings(): Environment {
  const here: Environment = { now: Date.now, random, fraction: Math.random, fetch: (input, init) => fetch(input, init), after, page: page() };
  if (here.page === null && typeof process === "object") {
    here.onIdleExit = (callback) => void process.on("beforeExit", callback);
  }
  return here;
}
