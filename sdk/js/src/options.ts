import type { Warn } from "./warn.js";

/** JSON-like values; what JSON cannot say (functions, `undefined`) is left out of an event. */
export type Properties = Record<string, unknown>;

/** What `init` takes. */
export interface Options {
  /** Where Throng answers, such as `https://events.example.com`. With the script tag: where the script came from. */
  url?: string;
  /** The app's write key, `wk_...`. It can do nothing but append events, so it may be public. */
  writeKey: string;
  /** Events are sent when so many are waiting, and so many a request. 1 to 500; 20 unless told. */
  batchSize?: number;
  /** ... or when the oldest has waited so long, in milliseconds. 100 to 3,600,000; 10,000 unless told. */
  flushIntervalMs?: number;
  /** Events kept while they cannot be sent; beyond, the oldest are dropped and counted. 1 to 10,000; 1,000 unless told. */
  maxQueuedEvents?: number;
  /** A session ends after so long without an event, in milliseconds. 30 minutes unless told, as on the server. */
  sessionIdleMs?: number;
  /** Sends `page_view` by itself, also when a single-page app changes the address; `"hash"`: when it changes what follows `#`, too. On unless told. */
  pageViews?: boolean | "hash";
  /** Properties of every event; those of a call win. */
  properties?: Properties;
  /** Keeps nothing on the device; the server makes an id that lasts a day. Off unless told. */
  cookieless?: boolean;
  /** Tracks nobody whose browser sends Do Not Track or Global Privacy Control. Off unless told. */
  respectDoNotTrack?: boolean;
  /** Tracks nobody before `optIn()`, for sites that ask first. Off unless told. */
  optedOut?: boolean;
}

/** `Options` with every choice made. */
export type Settings = Required<Options>;

const DEFAULTS = {
  url: "",
  batchSize: 20,
  flushIntervalMs: 10_000,
  maxQueuedEvents: 1_000,
  sessionIdleMs: 1_800_000,
  pageViews: true,
  properties: {},
  cookieless: false,
  respectDoNotTrack: false,
  optedOut: false,
} as const;

const BOUNDS = {
  batchSize: [1, 500],
  flushIntervalMs: [100, 3_600_000],
  maxQueuedEvents: [1, 10_000],
  sessionIdleMs: [1_000, 86_400_000],
} as const;

/** Fills in the defaults; `null` when events could not be sent anywhere. A page must not break over its analytics, so a mistake is a warning. */
export function settingsOf(options: Options, warn: Warn): Settings | null {
  const settings: Settings = { ...DEFAULTS, ...options, url: (options.url ?? "").replace(/\/+$/, "") };
  if (!/^https?:\/\//.test(settings.url)) {
    warn("url", `url is ${JSON.stringify(options.url)}: give init the address of Throng, such as https://events.example.com; nothing is sent`);
    return null;
  }
  if (typeof settings.writeKey !== "string" || settings.writeKey === "") {
    warn("writeKey", "writeKey is missing: give init the app's write key (wk_...); nothing is sent");
    return null;
  }
  for (const field of Object.keys(BOUNDS) as (keyof typeof BOUNDS)[]) {
    const [least, most] = BOUNDS[field];
    const value = settings[field];
    if (value >= least && value <= most) continue;
    settings[field] = DEFAULTS[field];
    warn(field, `${field} is ${value}, ${least} to ${most} are allowed: ${DEFAULTS[field]} is used`);
  }
  return settings;
}
