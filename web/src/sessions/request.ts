import { type TypesOf, filtersOf } from "../builder/conditions.ts";
import { rangeRequest } from "../builder/range.ts";
import { type SessionsQuestion, START } from "./question.ts";

/** Pages of each list. */
const PAGES = 10;
/** Groups of the breakdown; the rest is Other. */
const GROUPS = 10;

/** Who is looked at, and when. */
function subject({ event, conditions, range }: SessionsQuestion, typesOf: TypesOf): Record<string, unknown> {
  const filters = filtersOf(conditions, typesOf);
  return { ...(event === "" ? {} : { event }), ...(filters.length === 0 ? {} : { filters }), ...rangeRequest(range) };
}

/** What a session is, and when it bounces. */
function rules({ idle, bounceEvents, bounceLength }: SessionsQuestion): Record<string, unknown> {
  const bounces = bounceEvents !== START.bounceEvents || bounceLength !== START.bounceLength;
  return {
    ...(idle === "" ? {} : { session: { idle } }),
    ...(bounces ? { bounce: { max_events: Number(bounceEvents), ...(bounceLength === "" ? {} : { max_length: bounceLength }) } } : {}),
  };
}

/** The body of `/sessions` for figures, chart, pages and lengths. */
export function sessionsRequest(question: SessionsQuestion, typesOf: TypesOf): Record<string, unknown> {
  return { interval: question.interval, ...subject(question, typesOf), ...rules(question), pages: { property: question.page, limit: PAGES } };
}

/** The body of `/sessions` for the breakdown: a row a group over the whole range. */
export function breakdownRequest(question: SessionsQuestion, typesOf: TypesOf): Record<string, unknown> {
  return { group_by: question.by, limit: GROUPS, ...subject(question, typesOf), ...rules(question) };
}

/** The body of `/active_users`. */
export function activeUsersRequest(question: SessionsQuestion, typesOf: TypesOf): Record<string, unknown> {
  return { ...subject(question, typesOf), ...(question.by === "" ? {} : { group_by: question.by, limit: GROUPS }) };
}
