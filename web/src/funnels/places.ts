import type { Exclusion, Funnel } from "./funnel.ts";

/** Where the step of a place stands afterwards, both counted from 1; null where it is gone. */
type NewPlace = (place: number) => number | null;

/** An exclusion goes with the step it begins or ends at: what is left of it would void other attempts. */
function exclusionAt(exclusion: Exclusion, newPlace: NewPlace): Exclusion[] {
  const from = exclusion.from === 0 ? 0 : newPlace(exclusion.from);
  const to = exclusion.to === 0 ? 0 : newPlace(exclusion.to);
  if (from === null || to === null) return [];
  // Two steps that changed places have the same between them.
  return [from > 0 && to > 0 ? { ...exclusion, from: Math.min(from, to), to: Math.max(from, to) } : { ...exclusion, from, to }];
}

function attributionAt(attribution: string, newPlace: NewPlace): string {
  const step = /^step:(\d+)$/.exec(attribution)?.[1];
  if (step === undefined) return attribution;
  const place = newPlace(Number(step));
  return place === null ? "first" : `step:${place}`;
}

function withPlaces(funnel: Funnel, newPlace: NewPlace): Funnel {
  return { ...funnel, attribution: attributionAt(funnel.attribution, newPlace), exclusions: funnel.exclusions.flatMap((exclusion) => exclusionAt(exclusion, newPlace)) };
}

/** The funnel with two steps in each other's place, counted from 0; what is said of them goes with them. */
export function withStepMoved(funnel: Funnel, at: number, to: number): Funnel {
  const steps = funnel.steps.map((step, place) => (place === at ? funnel.steps[to] : place === to ? funnel.steps[at] : step));
  const moved = withPlaces(funnel, (place) => (place === at + 1 ? to + 1 : place === to + 1 ? at + 1 : place));
  return { ...moved, steps: steps.filter((step) => step !== undefined) };
}

/** The funnel without a step, counted from 0, and without what is said of it. */
export function withoutStep(funnel: Funnel, at: number): Funnel {
  const left = withPlaces(funnel, (place) => (place === at + 1 ? null : place > at + 1 ? place - 1 : place));
  const steps = funnel.steps.filter((_, place) => place !== at);
  // Up to the first step, or from the last one on, there is nothing between.
  return { ...left, steps, exclusions: left.exclusions.filter(({ from, to }) => to !== 1 && from < steps.length) };
}
