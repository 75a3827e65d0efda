import { type TypesOf, filtersOf } from "../builder/conditions.ts";
import { rangeRequest } from "../builder/range.ts";
import { isPicked, subjectInWords, subjectRequest } from "../builder/subject.ts";
import type { Funnel, Step } from "./funnel.ts";

/** Groups that get a bar and a line each: as many as there are colours. */
export const MAX_GROUPS = 8;
/** As many bins as the API gives, so that they can be joined to what reads well. */
const BINS = 1_000;

/** What is still missing before the funnel can be asked, or nothing. */
export function missingPart(funnel: Funnel): string | null {
  return funnel.steps.some(isPicked) ? null : "Pick the event of the first step.";
}

/** Where in the request the step at a place stands: steps without an event are left out until they have one. */
function sentPlace(steps: readonly Step[], place: number, otherwise: number): number {
  if (place === 0 || place > steps.length) return otherwise;
  return Math.max(1, steps.slice(0, place).filter(isPicked).length);
}

/** Longest label that the API takes, in bytes. */
const MAX_LABEL_BYTES = 255;

/** As much of a label as is taken. */
export function cutLabel(label: string): string {
  if (new TextEncoder().encode(label).length <= MAX_LABEL_BYTES) return label;
  const points = Array.from(label);
  let bytes = 3;
  const end = points.findIndex((point) => (bytes += new TextEncoder().encode(point).length) > MAX_LABEL_BYTES);
  return `${points.slice(0, end).join("")}…`;
}

function stepsRequest({ steps, mode }: Funnel, typesOf: TypesOf): unknown[] {
  return steps.filter(isPicked).map((step, at) => {
    const label = step.conditions.length === 0 ? undefined : cutLabel(subjectInWords(step));
    const request = subjectRequest(step, typesOf, label);
    // Only the ordered funnel has steps that may be left out, and never the first.
    if (!step.optional || at === 0 || mode !== "ordered") return request;
    return typeof request === "string" ? { event: request, optional: true } : { ...(request as object), optional: true };
  });
}

function exclusionsRequest({ steps, exclusions, mode }: Funnel, typesOf: TypesOf): unknown[] {
  const last = steps.filter(isPicked).length;
  if (mode === "strict" || last < 2) return [];
  return exclusions.filter(isPicked).map(({ from, to, ...subject }) => {
    const request = subjectRequest(subject, typesOf);
    const begin = Math.min(sentPlace(steps, from, 1), last - 1);
    const between = mode === "unordered" ? {} : { from_step: begin, to_step: Math.max(begin + 1, sentPlace(steps, to, last)) };
    return { ...(typeof request === "string" ? { event: request } : (request as object)), ...between };
  });
}

/** The part of a request that every call of a funnel takes. */
export function funnelRequest(funnel: Funnel, typesOf: TypesOf): Record<string, unknown> {
  const filters = filtersOf(funnel.conditions, typesOf);
  const exclusions = exclusionsRequest(funnel, typesOf);
  return {
    steps: stepsRequest(funnel, typesOf),
    ...rangeRequest(funnel.range),
    window: funnel.window,
    mode: funnel.mode,
    entry: funnel.entry,
    range_applies_to: funnel.applies,
    counting: funnel.entry === "first" ? "users" : funnel.counting,
    ...(filters.length > 0 && { filters }),
    ...(exclusions.length > 0 && { exclusions }),
    ...(funnel.hold.length > 0 && { hold_constant: funnel.hold }),
  };
}

function attributionRequest({ steps, attribution, mode }: Funnel): string {
  const step = /^step:(\d+)$/.exec(attribution)?.[1];
  if (step === undefined) return attribution;
  return mode === "unordered" ? "first" : `step:${sentPlace(steps, Number(step), 1)}`;
}

/** The body of `/funnel`. */
export function toRequest(funnel: Funnel, typesOf: TypesOf): Record<string, unknown> {
  const many = funnel.steps.filter(isPicked).length > 1;
  return {
    ...funnelRequest(funnel, typesOf),
    ...(funnel.breakdown !== "" && { breakdown: funnel.breakdown, attribution: attributionRequest(funnel), limit: MAX_GROUPS }),
    ...(funnel.interval !== "" && many && { interval: funnel.interval }),
    ...(many && { time_to_convert: { bins: BINS } }),
  };
}
