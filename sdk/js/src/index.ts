import { type Client, type Of, clientOf } from "./client.js";
import { surroundings } from "./environment.js";
import { type Options, type Properties, settingsOf } from "./options.js";
import { warnOnce } from "./warn.js";

export type { Client, Of, Options, Properties };

const warn = warnOnce();
let client: Client | null = null;

/** Begins to track. The first call counts; what it makes is also given, for those who would rather pass it on. */
export function init(options: Options): Client | null {
  const settings = client === null ? settingsOf(options, warn) : null;
  if (settings !== null) client = clientOf(surroundings(), settings, warn);
  return client;
}

/** The client's method; before `init`, and after one that failed, a call has no effect. */
function call<K extends keyof Client>(method: K, otherwise?: ReturnType<Client[K]>): Client[K] {
  const forward = (...args: unknown[]): unknown => {
    if (client === null) warn("no_init", `${method} has no effect: init comes first, with url and writeKey`);
    return client === null ? otherwise : (client[method] as (...args: unknown[]) => unknown)(...args);
  };
  return forward as Client[K];
}

export const track = call("track");
export const page = call("page");
export const identify = call("identify");
export const alias = call("alias");
export const reset = call("reset");
export const flush = call("flush", Promise.resolve(false));
export const optOut = call("optOut");
export const optIn = call("optIn");
export const stats = call("stats", { queued: 0, dropped: 0 });
