import { type TypesOf, filtersOf } from "../builder/conditions.ts";
import { rangeRequest } from "../builder/range.ts";
import { MAX_GROUPS, MAX_SERIES, MEASURES, type Question } from "./question.ts";

/** What is still missing before the question can be asked, or nothing. */
export function missingPart(question: Question): string | null {
  const measure = MEASURES.find((one) => one.value === question.measure);
  if (measure?.ofProperty === true && question.property === "") return "Pick the property to measure.";
  return null;
}

/** The body of `/query`. */
export function toRequest(question: Question, typesOf: TypesOf): Record<string, unknown> {
  const filters = filtersOf(question.conditions, typesOf);
  return {
    metric: question.property === "" ? question.measure : `${question.measure}:${question.property}`,
    ...(question.event === "" ? {} : { event: question.event }),
    ...(filters.length === 0 ? {} : { filters }),
    ...(question.groupBy.length === 0 ? {} : { group_by: question.groupBy }),
    ...(question.interval === "" ? {} : { interval: question.interval }),
    ...rangeRequest(question.range),
    ...(question.compare && question.range !== "all" ? { compare: "previous_period" } : {}),
    limit: question.interval === "" ? MAX_GROUPS : MAX_SERIES,
  };
}
