import type { Environment } from "./environment.js";
import type { Store } from "./store.js";

/** Who the visitor is: an id of the device's own, and the user's once they are known. */
export interface Identity {
  anonymousId: () => string;
  userId: () => string | null;
  identify: (userId: string) => void;
  /** From now on somebody else. */
  reset: () => void;
}

const ANONYMOUS = "anonymous_id";
const USER = "user_id";
/** 113 random bits. */
const ID_LENGTH = 22;

/** Reads the store each time: another tab may have made the id, or signed out. */
export function identityIn(store: Store, random: Environment["random"]): Identity {
  return {
    anonymousId: () => {
      const known = store.get(ANONYMOUS);
      if (known) return known;
      const id = random(ID_LENGTH);
      store.set(ANONYMOUS, id);
      return id;
    },
    userId: () => store.get(USER),
    identify: (userId) => { store.set(USER, userId); },
    reset: () => {
      store.remove(ANONYMOUS);
      store.remove(USER);
    },
  };
}
