/** A value with what it was before and after, so that every step can be taken back. */
export interface History<T> {
  past: T[];
  now: T;
  future: T[];
}

const MAX_STEPS = 100;

export const begin = <T>(now: T): History<T> => ({ past: [], now, future: [] });

/** One more step; what had been taken back is gone. */
export function step<T>({ past, now }: History<T>, next: T): History<T> {
  return { past: [...past, now].slice(-MAX_STEPS), now: next, future: [] };
}

export function undo<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  return before === undefined ? history : { past: history.past.slice(0, -1), now: before, future: [history.now, ...history.future] };
}

export function redo<T>(history: History<T>): History<T> {
  const [next, ...rest] = history.future;
  return next === undefined ? history : { past: [...history.past, history.now], now: next, future: rest };
}
