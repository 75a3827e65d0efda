import type { RetentionSemantics } from "./answer.ts";

const ROLLING_LENGTHS: Record<string, string> = { hour: "1 hour", day: "24 hours", week: "7 days", month: "30 days" };

function cohort({ entry, start_event, period }: RetentionSemantics): string {
  if (entry === "recurring") return `A person is in the cohort of every ${period} with “${start_event}”.`;
  const first = entry === "first_in_range" ? "first in the range" : "first ever";
  return `A person is in the cohort of the ${period} of the ${first} “${start_event}”.`;
}

function periods({ bucketing, period }: RetentionSemantics): string {
  if (bucketing === "rolling") return `Periods are ${ROLLING_LENGTHS[period] ?? period} each, counted from the person's own start; earlier events do not count.`;
  return `Periods are those of the calendar, and ${period} 0 is all of the one the start lies in, before it too.`;
}

/** The rule by which an answer counts, as sentences. */
export function ruleInWords(semantics: RetentionSemantics): string {
  const { mode, return_event, period } = semantics;
  const when = `${period === "day" ? "on" : "in"} ${period} N${mode === "on_or_after" ? " or later" : ""}`;
  return [cohort(semantics), `They came back with “${return_event}” ${when}.`, periods(semantics), "Hatched cells may still grow. The average has only cohorts whose period is over."].join(" ");
}
