import { type Filter, type TypesOf, filtersOf } from "../builder/conditions.ts";
import { ANY_EVENT, type Subject } from "../builder/subject.ts";
import type { RetentionAnswer } from "./answer.ts";
import type { Retention, Shown } from "./retention.ts";

/** A half-open stretch of time; without `to` it has no end. */
interface Stretch {
  from: string;
  to?: string;
}

/** The start of a period `count` after another, on the wall clock and so without an offset: the API reads it in the app's zone. */
export function laterPeriod(time: string, period: string, count: number): string {
  const date = new Date(`${time.slice(0, 19)}Z`);
  if (period === "hour") date.setUTCHours(date.getUTCHours() + count);
  else if (period === "month") date.setUTCMonth(date.getUTCMonth() + count);
  else date.setUTCDate(date.getUTCDate() + count * (period === "week" ? 7 : 1));
  return date.toISOString().slice(0, 19);
}

/** Where the period at a place begins; places after the last cohort are cut by the range, unless periods behind it were asked for. */
function startOf(answer: RetentionAnswer, place: number, beyond: boolean): string {
  const row = answer.retention[place];
  if (row !== undefined) return Date.parse(row.time) < Date.parse(answer.range.from) ? answer.range.from : row.time;
  const last = answer.retention.at(-1);
  if (!beyond || last === undefined) return answer.range.to;
  return laterPeriod(last.time, answer.semantics.period, place - answer.retention.length + 1);
}

function did(subject: Subject, filters: Filter[], stretch: Stretch, kind: "did" | "did_not" = "did"): Record<string, unknown> {
  const names = subject.events.includes(ANY_EVENT) ? null : subject.events.length === 1 ? subject.events[0] : subject.events;
  return { [kind]: names, ...(filters.length > 0 && { filters }), ...stretch };
}

/** True where the persons of a cell can be told by a rule: periods that each person counts for itself cannot, nor can a value of the start event. */
export function hasMembers({ bucketing, group, breakdown }: Retention): boolean {
  return bucketing === "calendar" && (breakdown === "" || group === "");
}

/** Who is in a cell, as a rule of cohorts; null where the answer has no such cell. */
export function membersRule(retention: Retention, answer: RetentionAnswer, { cohort, period }: Shown, typesOf: TypesOf): unknown {
  const row = answer.retention[cohort];
  // A period that has not begun has nobody, and a range without an end cannot begin after now.
  if (row === undefined || (period !== null && typeof row.returned[period] !== "number")) return null;
  const all = filtersOf(retention.conditions, typesOf);
  const startFilters = [...filtersOf(retention.start.conditions, typesOf), ...all];
  const beyond = retention.periods > 0;
  const [from, to] = [startOf(answer, cohort, false), startOf(answer, cohort + 1, false)];
  const start = did(retention.start, startFilters, { from, to });
  const earlier = did(retention.start, startFilters, { from: answer.range.from, to: from }, "did_not");
  const rules = [
    retention.entry === "first_time" ? { ...start, occurrence: "first" } : start,
    ...(retention.entry === "first_in_range" && Date.parse(from) > Date.parse(answer.range.from) ? [earlier] : []),
  ];
  if (period !== null) {
    const begins = startOf(answer, cohort + period, beyond);
    const ends = retention.mode === "on" ? { to: startOf(answer, cohort + period + 1, beyond) } : beyond ? {} : { to: answer.range.to };
    rules.push(did(retention.back, [...filtersOf(retention.back.conditions, typesOf), ...all], { from: begins, ...ends }));
  }
  return rules.length === 1 ? rules[0] : { and: rules };
}
