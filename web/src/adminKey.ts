import { useSyncExternalStore } from "react";

/** Keys that may change an app, by app: in the memory of this tab and nowhere else, gone with a reload. */
const keys = new Map<string, string>();
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(): void {
  for (const listener of listeners) listener();
}

export function forgetAdminKeys(): void {
  keys.clear();
  tell();
}

/** The key that was typed for an app, on whatever page, and the way to type another. */
export function useAdminKey(app: string): [string, (key: string) => void] {
  const key = useSyncExternalStore(subscribe, () => keys.get(app) ?? "");
  return [
    key,
    (typed) => {
      keys.set(app, typed);
      tell();
    },
  ];
}
