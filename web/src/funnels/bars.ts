import { coloured } from "../charts/palette.ts";
import { valueLabel } from "../format.ts";
import { type FunnelAnswer, type StepAnswer, countOf } from "./answer.ts";

/** One step as a bar. Shares are of those who entered. */
export interface Bar {
  /** Counted from 1, as the API does. */
  place: number;
  name: string;
  count: number;
  share: number;
  optional: boolean;
  /** Null on the first step. */
  change: { lost: number; lostShare: number; conversion: number | null; medianMs: number | null } | null;
}

/** One value of the breakdown, in its colour. */
export interface GroupBars {
  name: string;
  group: FunnelGroupKey;
  other: boolean;
  place: number | null;
  bars: Bar[];
}

type FunnelGroupKey = (string | number | boolean | null)[];

function barOf(step: StepAnswer, at: number, entered: number): Bar {
  const share = (count: number) => (entered === 0 ? 0 : count / entered);
  const count = countOf(step);
  const lost = step.dropped ?? 0;
  const change = at === 0 ? null : { lost, lostShare: share(lost), conversion: step.conversion ?? null, medianMs: step.median_time_ms ?? null };
  return { place: at + 1, name: step.step, count, share: share(count), optional: step.optional === true, change };
}

export function barsOf(funnel: readonly StepAnswer[]): Bar[] {
  const entered = funnel[0] === undefined ? 0 : countOf(funnel[0]);
  return funnel.map((step, at) => barOf(step, at, entered));
}

/** A set of bars a value, each measured by those who entered with it. */
export function groupBars(answer: FunnelAnswer): GroupBars[] {
  const groups = (answer.breakdown ?? []).map(({ value, funnel }) => ({ name: valueLabel(value), group: [value], other: value === "$other", place: null, bars: barsOf(funnel) }));
  return coloured(groups);
}

/** The last step that decides: optional ones do not. */
export function lastRequired(bars: readonly Bar[]): Bar | undefined {
  return bars.findLast((bar) => !bar.optional);
}
