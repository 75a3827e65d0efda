import type { Environment } from "./environment.js";
import type { Settings } from "./options.js";
import type { Store } from "./store.js";

/** Whether this visitor may be tracked: what they chose, else what their browser asks for, else what the site says. */
export interface Consent {
  isGiven: () => boolean;
  optOut: () => void;
  optIn: () => void;
}

const KEY = "consent";

/** Reads the store each time: the choice may be made in another tab. It is kept also where nothing else is: a refusal that is forgotten is none. */
export function consentIn(store: Store, env: Environment, settings: Settings): Consent {
  const browserObjects = (): boolean => {
    const { doNotTrack, globalPrivacyControl } = (env.page?.navigator ?? {}) as Partial<Navigator> & { globalPrivacyControl?: boolean };
    return doNotTrack === "1" || globalPrivacyControl === true;
  };
  return {
    isGiven: () => {
      const chosen = store.get(KEY);
      if (chosen) return chosen === "in";
      return !settings.optedOut && !(settings.respectDoNotTrack && browserObjects());
    },
    optOut: () => { store.set(KEY, "out"); },
    optIn: () => { store.set(KEY, "in"); },
  };
}
