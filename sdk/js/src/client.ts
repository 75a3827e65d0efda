import { type Arrival, arrivalOf } from "./arrival.js";
import { consentIn } from "./consent.js";
import type { Environment } from "./environment.js";
import { identityIn } from "./identity.js";
import type { Properties, Settings } from "./options.js";
import { pageOf, watchPages } from "./page-views.js";
import { queueIn } from "./queue.js";
import { senderOf } from "./sender.js";
import { sessionIn } from "./session.js";
import { deviceStore, memoryStore } from "./store.js";
import { transportTo } from "./transport.js";
import type { Warn } from "./warn.js";

/** Whose event it is, and when it happened, where a program speaks for many users. */
export interface Of {
  userId?: string;
  anonymousId?: string;
  timestamp?: Date | number;
}

/** One app's events from this page or process. */
export interface Client {
  /** Something happened. */
  track: (name: string, properties?: Properties, of?: Of) => void;
  /** A page is seen: an event `page_view`. */
  page: (properties?: Properties, of?: Of) => void;
  /** The visitor is this user, and was all along. `traits` become properties of the user. */
  identify: (userId: string, traits?: Properties, of?: Of) => void;
  /** The id `other` is the same person as the user. */
  alias: (other: string, of?: Of) => void;
  /** The user signed out: what comes next is somebody else's, in a new session. */
  reset: () => void;
  /** Sends what waits; true when nothing is left to send. */
  flush: () => Promise<boolean>;
  /** Tracks this visitor no more, and forgets what was kept of them and not sent yet. */
  optOut: () => void;
  optIn: () => void;
  /** Events that wait, and events that were dropped because too many waited or for too long. */
  stats: () => { queued: number; dropped: number };
}

/** Letters of an insert id that tell apart the tabs of one session, and pages or processes without one. */
const TAB_LENGTH = 6;
const RUN_LENGTH = 16;

export function clientOf(env: Environment, settings: Settings, warn: Warn): Client {
  const { page } = env;
  // The key's end keeps apart two apps on one site.
  const name = `throng.${settings.writeKey.slice(-8)}.`;
  const device = page?.storage ? deviceStore(page.storage, name) : memoryStore();
  const store = settings.cookieless ? memoryStore() : device;
  const consent = consentIn(device, env, settings);
  const identity = identityIn(store, env.random);
  const session = sessionIn(store, env.random, settings.sessionIdleMs, page ? arrivalOf(page.window.location, page.document.referrer) : {});
  const queue = queueIn(store, settings.maxQueuedEvents);
  const sender = senderOf(env, settings, queue, transportTo(env, settings.url, settings.writeKey), warn, store === device ? name : null);
  const run = env.random(RUN_LENGTH);
  let count = 0;

  const address = (): Properties => {
    if (page === null) return {};
    const { location } = page.window;
    return { url: pageOf(location, settings.pageViews === "hash"), host: location.host };
  };

  const person = ({ userId, anonymousId }: Of): object => {
    const known = userId ?? (page && identity.userId());
    const user = known === null ? {} : { user_id: known };
    if (anonymousId !== undefined) return { anonymous_id: anonymousId, ...user };
    // Without any id it is an event of nobody: it counts as an event, never as a user.
    if (page === null) return { user_id: known };
    return settings.cookieless ? { cookieless: true, ...user } : { anonymous_id: identity.anonymousId(), ...user };
  };

  const add = (name: string, properties: (arrival: Arrival) => Properties, of: Of): void => {
    if (!consent.isGiven()) return;
    const now = env.now();
    const visit = page && session.touch(now);
    // Without anything on the device sessions are the server's to tell; a server program has none.
    const sessionId = settings.cookieless ? undefined : visit?.id;
    count += 1;
    // The session's id stands first, since the server then stores only the rest.
    const insertId = (sessionId ? `${sessionId}-${run.slice(0, TAB_LENGTH)}` : run) + count.toString(36);
    try {
      const json = JSON.stringify({
        name,
        insert_id: insertId,
        timestamp: of.timestamp === undefined ? now : Number(of.timestamp),
        ...person(of),
        session_id: sessionId,
        properties: properties(visit?.arrival ?? {}),
      });
      queue.add(insertId, json, now);
    } catch (error) {
      warn("json", `${name} is not sent, since its properties cannot be written as JSON: ${String(error)}`);
      return;
    }
    if (queue.dropped() > 0) warn("dropped", `more than ${settings.maxQueuedEvents} events wait: the oldest are dropped`);
    sender.added();
  };

  /** Programs in JavaScript pass numbers, and nothing at all. */
  const id = (call: string, given: unknown): string => {
    const text = typeof given === "number" ? String(given) : given;
    if (typeof text === "string" && text) return text;
    warn(call, `${call} has no effect without an id: give it the user's`);
    return "";
  };

  const client: Client = {
    track: (name, properties = {}, of = {}) => {
      add(name, (arrival) => ({ ...address(), ...arrival, ...settings.properties, ...properties }), of);
    },
    page: (properties = {}, of = {}) => {
      const title = page?.document.title;
      client.track("page_view", title ? { title, ...properties } : properties, of);
    },
    identify: (userId, traits = {}, of = {}) => {
      const user = id("identify", userId);
      if (!user) return;
      // A server program speaks for many users: it remembers none of them.
      if (page && consent.isGiven()) identity.identify(user);
      add("$identify", () => (Object.keys(traits).length > 0 ? { $set: traits } : {}), { ...of, userId: user });
    },
    alias: (other, of = {}) => {
      const alias = id("alias", other);
      const userId = id("alias", of.userId ?? identity.userId());
      if (alias && userId) add("$alias", () => ({ alias }), { ...of, userId });
    },
    reset: () => {
      identity.reset();
      session.reset();
    },
    flush: sender.flush,
    optOut: () => {
      queue.clear();
      client.reset();
      consent.optOut();
    },
    optIn: consent.optIn,
    stats: () => ({ queued: queue.size(), dropped: queue.dropped() }),
  };

  if (page) {
    const { document, window } = page;
    // Made before there is a second tab that could make another at the same moment.
    if (consent.isGiven()) identity.anonymousId();
    // What an earlier page left.
    if (queue.size() > 0) void sender.flush();
    window.addEventListener("online", sender.online);
    window.addEventListener("pagehide", sender.leave);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") sender.leave();
    });
    if (settings.pageViews) watchPages(page, settings.pageViews === "hash", () => { client.page(); });
  } else {
    env.onIdleExit?.(() => {
      if (queue.size() > 0) void sender.flush();
    });
    if (settings.cookieless) warn("cookieless", "cookieless is for browsers: a server program names the user of each event");
  }
  return client;
}
