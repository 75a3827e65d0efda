import type { EventChoice } from "../builder/vocabulary.ts";

const STEPS = 3;
/** A next step is worth a look where it is so much rarer than the one before. */
const RARER = 4;

/** A funnel to begin with, of the app's own events: the most frequent, then each the most frequent that is much rarer. */
export function exampleSteps(events: readonly EventChoice[]): string[] {
  const ranked = [...events].sort((a, b) => b.count - a.count);
  const steps = ranked.slice(0, 1);
  for (const event of ranked) {
    const last = steps.at(-1);
    if (steps.length < STEPS && last !== undefined && event.count * RARER <= last.count) steps.push(event);
  }
  return (steps.length < 2 ? ranked.slice(0, STEPS) : steps).map((event) => event.value);
}
