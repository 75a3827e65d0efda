import type { Cohort, QueryAnswer } from "../api/types.ts";

/** Cohorts of one request, which has ten metrics at most. */
const COHORTS_ASKED = 10;
/** Cohorts looked at in one go. */
export const COHORTS_SHOWN = 50;

/** Counts a person's events once for each cohort, as far as the person is in it: none, or all. */
export function membershipRequest(person: string, cohorts: readonly Cohort[]): Record<string, unknown> {
  const metrics = cohorts.map(({ id }) => ({ fn: "events", name: id, filters: [{ property: `cohort:${id}`, op: "in" }] }));
  return { metrics, segment: { persons: [person] }, range: "all" };
}

/** The cohorts that the counts are not 0 for. */
export function cohortsIn(answer: QueryAnswer, cohorts: readonly Cohort[]): Cohort[] {
  const row = answer.results[0] ?? {};
  return cohorts.filter(({ id }, at) => Number(row[answer.metrics[at] ?? id] ?? 0) > 0);
}

/** Cohorts, as many to a request as it takes. */
export function inRequests(cohorts: readonly Cohort[]): Cohort[][] {
  return Array.from({ length: Math.ceil(cohorts.length / COHORTS_ASKED) }, (_, at) => cohorts.slice(at * COHORTS_ASKED, (at + 1) * COHORTS_ASKED));
}
