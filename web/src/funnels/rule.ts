import { lengthInWords } from "../format.ts";
import type { FunnelSemantics } from "./answer.ts";

const list = (names: readonly string[]) => names.join(" and ");

function order({ mode, window_ms }: FunnelSemantics): string {
  const within = typeof window_ms === "number" ? `within ${lengthInWords(window_ms)}` : "at any time";
  if (mode === "unordered") return `Steps are done in any order, ${within}${typeof window_ms === "number" ? " of the first of them" : ""}; bar k holds those who did any k of them.`;
  const between = mode === "strict" ? ", with no other event of the person in between" : "";
  return `Each step comes after the one before${between}, ${within}${typeof window_ms === "number" ? " of the first" : ""}.`;
}

function between(exclusion: { from_step?: number; to_step?: number }): string {
  const { from_step, to_step } = exclusion;
  const where = from_step === undefined || to_step === undefined ? "between the steps" : `between steps ${from_step} and ${to_step}`;
  return `An attempt with an excluded event ${where} counts for nothing.`;
}

function groups(attribution: string): string {
  const step = /^step:(\d+)$/.exec(attribution)?.[1];
  if (step !== undefined) return `Groups are by the value on step ${step}.`;
  return attribution === "last" ? "Groups are by the value on the last step reached." : "Groups are by the value on the first step.";
}

/** The rule by which an answer counts, as sentences. */
export function ruleInWords(semantics: FunnelSemantics): string {
  const { entry, range_applies_to, counting, optional_steps = [], exclusions = [], hold_constant = [], attribution } = semantics;
  return [
    order(semantics),
    entry === "first" ? "Only a person's first entry in the range counts." : "Any first step in the range may begin an attempt.",
    range_applies_to === "all" ? "All steps lie in the range." : "Later steps may come after the range ends.",
    counting === "totals" ? "Every attempt counts." : "Each person counts once, by the attempt that goes furthest.",
    ...(optional_steps.length === 0 ? [] : [`Step ${list(optional_steps.map(String))} may be left out.`]),
    ...exclusions.map(between),
    ...(hold_constant.length === 0 ? [] : [`All steps have the same ${list(hold_constant)}.`]),
    ...(attribution === undefined ? [] : [groups(attribution)]),
  ].join(" ");
}
