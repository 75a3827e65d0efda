import { type Condition, conditionOf, isFinished, takes } from "../builder/conditions.ts";
import { daysOf } from "../builder/range.ts";
import { type GroupRule, NEW_DID, OCCURRENCES, type Rule, TIMES } from "./rule.ts";

/** As deep as the API takes rules. */
const MAX_DEPTH = 16;

type Members = Record<string, unknown>;

const isObject = (value: unknown): value is Members => typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((one) => typeof one === "string");

/** Operators of filters that are conditions under the same name. */
const SAME = new Set(["contains", "not_contains", "starts_with", "ends_with", "matches", "gt", "gte", "lt", "lte", "is_set", "is_not_set"]);
const LISTED: Record<string, string> = { eq: "is", in: "is", neq: "is_not", not_in: "is_not" };

const asText = (value: unknown): string | null => (typeof value === "string" ? value : typeof value === "number" || typeof value === "boolean" ? String(value) : null);

const FILTER_MEMBERS = new Set(["property", "op", "value"]);

/** True where nothing of a filter is lost when its condition is written again. */
function isKept(filter: Members, known: string): boolean {
  const { op, value } = filter;
  if (!Object.keys(filter).every((member) => FILTER_MEMBERS.has(member))) return false;
  switch (takes(known)) {
    case "none":
      return value === undefined;
    case "number":
      return typeof value === "number";
    case "one":
      return typeof value === "string";
    case "many":
      return Array.isArray(value) === (op === "in" || op === "not_in");
  }
}

/** A filter as a condition of the editor, where it can be one. */
function conditionFrom(filter: unknown): Condition | null {
  if (!isObject(filter) || typeof filter["property"] !== "string" || typeof filter["op"] !== "string") return null;
  const { property, op, value } = filter;
  if (property.startsWith("cohort:")) return (op === "in" || op === "not_in") && isKept(filter, `${op}_cohort`) ? { property, op: `${op}_cohort`, values: [] } : null;
  const known = SAME.has(op) ? op : LISTED[op];
  if (known === undefined) return null;
  const values = (value === undefined ? [] : Array.isArray(value) ? (value as unknown[]) : [value]).map(asText);
  if (!values.every((text) => text !== null) || !isKept(filter, known)) return null;
  // 30 and "30" are one text of the editor, which asks for both.
  const condition = { property, op: known, values: [...new Set(values)] };
  return isFinished(condition) ? condition : null;
}

/** The conditions of an editor that say what filters say; nothing where some cannot be shown. */
export function conditionsFrom(filters: unknown): Condition[] | null {
  if (filters === undefined) return [];
  if (!Array.isArray(filters)) return null;
  const conditions = filters.map(conditionFrom);
  return conditions.every((condition) => condition !== null) ? conditions : null;
}

function dayBefore(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - 1);
  return date.toISOString().slice(0, 10);
}

/** The window of a rule as the editor has it; null where it has none such. */
function windowFrom({ range, from, to }: Members): string | null {
  if (from === undefined && to === undefined) return range === undefined ? "" : typeof range === "string" ? range : null;
  if (range !== undefined || typeof from !== "string" || typeof to !== "string") return null;
  const given = daysOf(`${from}..${to}`);
  return given === null ? null : `${given.from}..${dayBefore(given.to)}`;
}

const DID_MEMBERS = new Set(["did", "did_not", "filters", "range", "from", "to", "at_least", "at_most", "exactly", "occurrence"]);

function didFrom(json: Members): Rule | null {
  const negated = "did_not" in json;
  const event = negated ? json["did_not"] : json["did"];
  const events = event === null ? [] : typeof event === "string" ? [event] : isTexts(event) ? event : null;
  const conditions = conditionsFrom(json["filters"]);
  const range = windowFrom(json);
  const counts = TIMES.filter(({ value }) => value in json);
  const [times] = counts;
  const count = times === undefined ? 1 : json[times.value];
  const occurrence = json["occurrence"] ?? "any";
  const plain = Object.keys(json).every((member) => DID_MEMBERS.has(member)) && counts.length <= 1 && !(negated && (times !== undefined || occurrence !== "any"));
  if (!plain || events === null || conditions === null || range === null || typeof count !== "number" || typeof occurrence !== "string" || !OCCURRENCES.some(({ value }) => value === occurrence)) return null;
  return { kind: "did", negated, events, conditions, times: times?.value ?? "at_least", count, range, occurrence };
}

function only(json: Members, member: string): boolean {
  return member in json && Object.keys(json).length === 1;
}

function negation(rule: Rule): Rule | null {
  if (rule.kind === "cohort" || rule.kind === "group") return rule.negated ? null : { ...rule, negated: true };
  return { kind: "group", negated: true, all: true, rules: [rule] };
}

/** A rule of the API as the editor has it; what the editor has no words for is kept as it is. */
export function ruleFrom(json: unknown, depth = 0): Rule {
  const other: Rule = { kind: "other", json };
  if (typeof json === "string") return { kind: "cohort", negated: false, id: json };
  if (!isObject(json) || depth > MAX_DEPTH) return other;
  if ("did" in json !== "did_not" in json) return didFrom(json) ?? other;
  if (only(json, "cohort") && typeof json["cohort"] === "string") return { kind: "cohort", negated: false, id: json["cohort"] };
  if (only(json, "not")) return negation(ruleFrom(json["not"], depth + 1)) ?? other;
  for (const member of ["and", "or"]) {
    const rules = json[member];
    if (only(json, member) && Array.isArray(rules)) return { kind: "group", negated: false, all: member === "and", rules: rules.map((rule) => ruleFrom(rule, depth + 1)) };
  }
  const condition = "as_of" in json ? null : conditionFrom(json);
  return condition === null ? other : { kind: "property", condition };
}

/** The rule of a cohort with a group around it, which is what the editor shows first. */
export function rootFrom(json: unknown): GroupRule {
  const rule = ruleFrom(json);
  return rule.kind === "group" && !rule.negated ? rule : { kind: "group", negated: false, all: true, rules: [rule] };
}

/** A rule of the editor as an address keeps it; null where somebody else wrote it. */
export function ruleOf(value: unknown, depth = 0): Rule | null {
  if (!isObject(value) || depth > MAX_DEPTH) return null;
  const { kind, negated, events, conditions, times, count, range, occurrence, condition, id, all, rules, json } = value;
  switch (kind) {
    case "did": {
      const known = isTexts(events) && Array.isArray(conditions) && typeof count === "number" && typeof range === "string" && TIMES.some((one) => one.value === times) && OCCURRENCES.some((one) => one.value === occurrence);
      return known ? { ...NEW_DID, negated: negated === true, events, conditions: conditions.flatMap(conditionIn), times: String(times), count, range, occurrence: String(occurrence) } : null;
    }
    case "property": {
      const [known] = conditionIn(condition);
      return known === undefined ? null : { kind, condition: known };
    }
    case "cohort":
      return typeof id === "string" ? { kind, negated: negated === true, id } : null;
    case "other":
      return { kind, json };
    case "group": {
      const inner = Array.isArray(rules) ? rules.map((rule) => ruleOf(rule, depth + 1)) : [null];
      return inner.every((rule) => rule !== null) ? { kind, negated: negated === true, all: all !== false, rules: inner } : null;
    }
    default:
      return null;
  }
}

/** A condition that was kept as an object. */
function conditionIn(value: unknown): Condition[] {
  if (!isObject(value) || !isTexts(value["values"])) return [];
  return conditionOf([value["property"], value["op"], ...value["values"]]);
}
