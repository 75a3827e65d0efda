import { lengthInWords } from "../format.ts";
import type { PathsAnswer, PathsSemantics } from "./answer.ts";

const WHICH: Record<string, string> = { first: "the first", last: "the last", every: "every" };

/** How paths were counted, in one sentence, from what the answer says of itself. */
export function ruleInWords(rule: PathsSemantics): string {
  const steps = rule.steps === 1 ? "1 step" : `${rule.steps} steps`;
  const which = WHICH[rule.occurrence ?? "first"] ?? "the first";
  const hung = { start: `${which} matching event and up to ${steps} after it`, end: `up to ${steps} before ${which} matching event, and the event` };
  const path = rule.anchor === undefined ? `the first ${steps}` : hung[rule.anchor];
  const gap = rule.gap_ms === null || rule.gap_ms === undefined ? "all events of a person" : `events of a person with pauses of at most ${lengthInWords(rule.gap_ms)}`;
  const within = rule.within === "session" ? `a session (cut at pauses longer than ${lengthInWords(rule.session_idle_ms ?? 0)})` : gap;
  return [
    `a path is ${path} within ${within}`,
    rule.collapse_repeats ? "repeats of a step are one" : "repeats count each time",
    rule.full_length_only ? "shorter paths do not count" : "paths that end early count",
  ].join("; ");
}

/** What stands above each column. */
export function headsOf({ places, semantics }: Pick<PathsAnswer, "places" | "semantics">): string[] {
  return places.map(({ place }) => {
    if (semantics.anchor === undefined) return `Step ${place}`;
    if (place === 0) return semantics.anchor === "start" ? "Start" : "End";
    return place > 0 ? `${place} after` : `${-place} before`;
  });
}
