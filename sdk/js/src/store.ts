/** Texts by key. */
export interface Store {
  get: (key: string) => string | null;
  set: (key: string, value: string) => void;
  remove: (key: string) => void;
  keys: () => string[];
}

export function memoryStore(): Store {
  const values = new Map<string, string>();
  return {
    get: (key) => values.get(key) ?? null,
    set: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
    keys: () => [...values.keys()],
  };
}

/** `localStorage` under a prefix. What the browser refuses, as when it is full, is kept in memory as long as the page lives. */
export function deviceStore(device: Storage, prefix: string): Store {
  const refused = memoryStore();
  const remove = (key: string): void => {
    refused.remove(key);
    attempt(() => { device.removeItem(prefix + key); });
  };
  return {
    get: (key) => refused.get(key) ?? attempt(() => device.getItem(prefix + key)),
    set: (key, value) => {
      refused.remove(key);
      if (attempt(() => (device.setItem(prefix + key, value), true)) !== null) return;
      remove(key);
      refused.set(key, value);
    },
    remove,
    keys: () => {
      const kept = attempt(() => Object.keys(device)) ?? [];
      const ours = kept.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
      return ours.concat(refused.keys());
    },
  };
}

function attempt<T>(access: () => T): T | null {
  try {
    return access();
  } catch {
    return null;
  }
}
