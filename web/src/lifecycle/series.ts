import type { ChartData, ChartSeries } from "../charts/data.ts";
import type { LifecyclePeriod, StickinessRow } from "./answer.ts";

/** From the axis upwards, and the one below it. Their colours are fixed: they mean the same on every chart. */
export const PARTS = [
  { key: "returning", name: "Returning", place: 0, about: "active in this period and the one before" },
  { key: "new", name: "New", place: 4, about: "active for the first time ever" },
  { key: "resurrected", name: "Resurrected", place: 2, about: "back after at least one period away" },
  { key: "dormant", name: "Dormant", place: 1, about: "active in the period before, and not in this one" },
] as const;

/** Periods up to now, as stacked bars. */
export function lifecycleSeries(periods: readonly LifecyclePeriod[], nowMs: number): ChartData {
  const known = periods.filter(({ time }) => Date.parse(time) <= nowMs);
  const times = known.map(({ time }) => time);
  const series = PARTS.map(({ key, name, place }): ChartSeries => ({ name, group: [name], other: false, place, values: known.map((period) => period[key]), previous: null }));
  return { metric: "Persons", times, previousTimes: times.map(() => ""), partial: known.map(({ finished }) => !finished), series };
}

/** The last period that is over, else the last: the one whose numbers are told. */
export function lastFinished(periods: readonly LifecyclePeriod[], nowMs: number): LifecyclePeriod | undefined {
  const known = periods.filter(({ time }) => Date.parse(time) <= nowMs);
  return known.findLast(({ finished }) => finished) ?? known.at(-1);
}

/** New and resurrected for each one who fell away: above 1 the number of active persons grows. Null where nobody fell away. */
export function quickRatio({ new: fresh, resurrected, dormant }: LifecyclePeriod): number | null {
  return dormant === 0 ? null : (fresh + resurrected) / -dormant;
}

/** A bar for each number of periods, up to the largest with anybody. */
export function stickinessSeries(rows: readonly StickinessRow[], atLeast: boolean): ChartData {
  const name = "Persons";
  const times = rows.map(({ periods }) => String(periods));
  const values = rows.map(({ users, users_at_least }) => (atLeast ? users_at_least : users));
  return { metric: name, times, previousTimes: times.map(() => ""), partial: times.map(() => false), series: [{ name, group: [], other: false, place: null, values, previous: null }] };
}

/** The mean number of periods in which a person is active. */
export function meanPeriods(rows: readonly StickinessRow[]): number | null {
  const users = rows.reduce((sum, row) => sum + row.users, 0);
  return users === 0 ? null : rows.reduce((sum, row) => sum + row.users * row.periods, 0) / users;
}
