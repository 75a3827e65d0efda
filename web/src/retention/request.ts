import { type TypesOf, filtersOf } from "../builder/conditions.ts";
import { rangeRequest } from "../builder/range.ts";
import { isPicked, subjectRequest } from "../builder/subject.ts";
import type { Retention } from "./retention.ts";

/** Groups that get a line each: as many as there are colours. */
export const MAX_GROUPS = 8;

/** What is still missing before it can be asked, or nothing. */
export function missingPart({ start, back }: Retention): string | null {
  if (!isPicked(start)) return "Pick the event that begins it.";
  return isPicked(back) ? null : "Pick the event they come back with.";
}

/** The body of `/retention`. */
export function toRequest(retention: Retention, typesOf: TypesOf): Record<string, unknown> {
  const { start, back, period, bucketing, entry, mode, periods, breakdown } = retention;
  const filters = filtersOf(retention.conditions, typesOf);
  return {
    start_event: subjectRequest(start, typesOf),
    return_event: subjectRequest(back, typesOf),
    period,
    bucketing,
    entry,
    mode,
    ...rangeRequest(retention.range),
    ...(periods > 0 && { periods }),
    ...(filters.length > 0 && { filters }),
    ...(breakdown !== "" && { breakdown, limit: MAX_GROUPS }),
  };
}
