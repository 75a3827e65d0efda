import { type TypesOf, filtersOf } from "../builder/conditions.ts";
import { rangeRequest } from "../builder/range.ts";
import { BY_EVENT, type PathsQuestion } from "./question.ts";

/** Paths, and edges from each place: enough that what is left for `$other` hardly shows in the picture. */
const LIMIT = 500;

/** The event at which paths hang, as a step of a funnel is written. */
function anchorOf({ event, value, by }: PathsQuestion): unknown {
  const name = event === "" ? null : event;
  if (value === undefined) return name ?? { event: null };
  if (by === BY_EVENT) return value;
  return { event: name, filters: [value === null ? { property: by, op: "is_not_set" } : { property: by, op: "eq", value }] };
}

/** The body of `/paths`. */
export function pathsRequest(question: PathsQuestion, typesOf: TypesOf): Record<string, unknown> {
  const { anchor, occurrence, steps, by, collapse, full, only, without, gap, conditions, range } = question;
  const filters = filtersOf(conditions, typesOf);
  return {
    ...(anchor === "session" ? {} : { [anchor]: anchorOf(question), ...(occurrence === "first" ? {} : { occurrence }) }),
    steps,
    ...(by === BY_EVENT ? {} : { step_by: by }),
    ...(only.length === 0 ? {} : { events: only }),
    ...(without.length === 0 ? {} : { exclude: without.map((event) => ({ event })) }),
    ...(gap === "" ? {} : { gap }),
    ...(collapse ? { collapse_repeats: true } : {}),
    ...(full ? { full_length_only: true } : {}),
    ...(filters.length === 0 ? {} : { filters }),
    ...rangeRequest(range),
    limit: LIMIT,
  };
}
