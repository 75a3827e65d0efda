import { type Condition, type TypesOf, conditionInWords, filtersOf, isFinished } from "../builder/conditions.ts";
import { type Named, named } from "../builder/named.ts";
import { CUSTOM_RANGE, daysOf, rangeRequest } from "../builder/range.ts";

/** Did, or did not do something. */
export interface DidRule {
  kind: "did";
  negated: boolean;
  /** None for any event. */
  events: string[];
  conditions: Condition[];
  times: string;
  count: number;
  /** Empty for ever. */
  range: string;
  occurrence: string;
}

/** Has a user property. */
export interface PropertyRule {
  kind: "property";
  condition: Condition;
}

/** Is, or is not in another cohort. */
export interface CohortRule {
  kind: "cohort";
  negated: boolean;
  id: string;
}

/** All, or any of some rules. */
export interface GroupRule {
  kind: "group";
  negated: boolean;
  all: boolean;
  rules: Rule[];
}

/** What the API can and this editor cannot: it is shown and kept as it is. */
export interface OtherRule {
  kind: "other";
  json: unknown;
}

export type Rule = DidRule | PropertyRule | CohortRule | GroupRule | OtherRule;

export const TIMES: Named[] = [
  { value: "at_least", label: "at least" },
  { value: "at_most", label: "at most" },
  { value: "exactly", label: "exactly" },
];

export const OCCURRENCES: Named[] = [
  { value: "any", label: "any time" },
  { value: "first", label: "for the first time ever" },
  { value: "last", label: "for the last time so far" },
];

export const WINDOWS: Named[] = [
  { value: "", label: "ever" },
  { value: "24h", label: "in the last 24 hours" },
  { value: "1d", label: "today" },
  { value: "7d", label: "in the last 7 days" },
  { value: "14d", label: "in the last 14 days" },
  { value: "30d", label: "in the last 30 days" },
  { value: "90d", label: "in the last 90 days" },
  { value: "365d", label: "in the last 365 days" },
  { value: CUSTOM_RANGE, label: "between two days" },
];

export const NEW_DID: DidRule = { kind: "did", negated: false, events: [], conditions: [], times: "at_least", count: 1, range: "30d", occurrence: "any" };
export const NEW_PROPERTY: PropertyRule = { kind: "property", condition: { property: "", op: "is", values: [] } };
export const NEW_COHORT: CohortRule = { kind: "cohort", negated: false, id: "" };
export const NEW_GROUP: GroupRule = { kind: "group", negated: false, all: false, rules: [NEW_DID] };
/** The rule of a new cohort. */
export const START: GroupRule = { kind: "group", negated: false, all: true, rules: [NEW_DID] };

function windowRequest(range: string): Record<string, unknown> {
  return range === "" ? {} : { ...rangeRequest(range) };
}

function didRequest(rule: DidRule, typesOf: TypesOf): unknown {
  const [only] = rule.events;
  const event = rule.events.length > 1 ? rule.events : (only ?? null);
  const filters = filtersOf(rule.conditions, typesOf);
  const shared = { ...(filters.length === 0 ? {} : { filters }), ...windowRequest(rule.range) };
  if (rule.negated) return { did_not: event, ...shared };
  const once = rule.times === "at_least" && rule.count === 1;
  return { did: event, ...shared, ...(once ? {} : { [rule.times]: rule.count }), ...(rule.occurrence === "any" ? {} : { occurrence: rule.occurrence }) };
}

const not = (negated: boolean, rule: unknown): unknown => (negated ? { not: rule } : rule);

/** A rule as the API takes it; nothing while it is not finished. */
export function ruleRequest(rule: Rule, typesOf: TypesOf): unknown {
  switch (rule.kind) {
    case "did":
      return didRequest(rule, typesOf);
    case "property":
      return filtersOf([rule.condition], typesOf)[0];
    case "cohort":
      return rule.id === "" ? undefined : not(rule.negated, { cohort: rule.id });
    case "other":
      return rule.json;
    case "group": {
      const rules = rule.rules.map((inner) => ruleRequest(inner, typesOf)).filter((inner) => inner !== undefined);
      if (rules.length === 0) return undefined;
      return not(rule.negated, rules.length === 1 ? rules[0] : { [rule.all ? "and" : "or"]: rules });
    }
  }
}

function windowInWords(range: string): string {
  const days = daysOf(range);
  if (days !== null) return `between ${days.from} and ${days.to}`;
  return WINDOWS.some(({ value }) => value === range) ? named(WINDOWS, range) : `in the last ${range}`;
}

function didInWords(rule: DidRule): string {
  const what = rule.events.length === 0 ? "any event" : rule.events.join(" or ");
  const where = rule.conditions.filter(isFinished).map(conditionInWords);
  const event = where.length === 0 ? what : `${what} where ${where.join(" and ")}`;
  const once = rule.times === "at_least" && rule.count === 1;
  const times = rule.negated || once ? "" : ` ${named(TIMES, rule.times)} ${rule.count === 1 ? "once" : `${rule.count} times`}`;
  const occurrence = rule.negated || rule.occurrence === "any" ? "" : ` ${named(OCCURRENCES, rule.occurrence)}`;
  return `${rule.negated ? "did not do" : "did"} ${event}${times}${occurrence} ${windowInWords(rule.range)}`;
}

/** False for what `ruleRequest` leaves out. */
function isWhole(rule: Rule): boolean {
  if (rule.kind === "property") return isFinished(rule.condition);
  return rule.kind === "cohort" ? rule.id !== "" : rule.kind !== "group" || rule.rules.some(isWhole);
}

/** A rule as a sentence whose subject is the person. */
export function ruleInWords(rule: Rule, nameOf: (cohort: string) => string): string {
  switch (rule.kind) {
    case "did":
      return didInWords(rule);
    case "property":
      return `has a ${conditionInWords({ ...rule.condition, property: `${rule.condition.property.replace(/^user\./, "")} that` })}`;
    case "cohort":
      return `is ${rule.negated ? "not " : ""}in ${nameOf(rule.id)}`;
    case "other":
      return `fits ${JSON.stringify(rule.json)}`;
    case "group": {
      const inner = rule.rules.filter(isWhole).map((one) => (one.kind === "group" && one.rules.length > 1 && !one.negated ? `(${ruleInWords(one, nameOf)})` : ruleInWords(one, nameOf)));
      const words = inner.join(rule.all ? " and " : " or ");
      return rule.negated ? `not (${words})` : words;
    }
  }
}
