/** Windows of 5 s that one point of a sparkline stands for: half an hour of single windows would be hairs closer than a pixel. */
export const WINDOWS_PER_POINT = 3;

export interface SparkPoint {
  /** Start of the first window it stands for, milliseconds. */
  at: number;
  value: number;
}

/**
 * Means of neighbouring windows. Groups are cut by absolute time, so that the line moves as a whole and no point changes once it
 * is complete. The last window is left out: it is still open and would always look like a fall.
 */
export function sparkPoints(values: readonly number[], startMs: number, stepMs: number): SparkPoint[] {
  const points = new Map<number, { sum: number; windows: number; at: number }>();
  for (let window = 0; window < values.length - 1; window += 1) {
    const at = startMs + window * stepMs;
    const group = Math.floor(at / stepMs / WINDOWS_PER_POINT);
    const point = points.get(group) ?? { sum: 0, windows: 0, at };
    points.set(group, { sum: point.sum + (values[window] ?? 0), windows: point.windows + 1, at: point.at });
  }
  return [...points.values()].map(({ sum, windows, at }) => ({ at, value: sum / windows }));
}

/**
 * Ratios of the sums over the last `windows` windows, one a window: a single window holds too few conversions to say anything. At most 1:
 * who ends within the windows may have begun before.
 */
export function trailingRatio(parts: readonly number[], wholes: readonly number[], windows: number): number[] {
  let [part, whole] = [0, 0];
  return wholes.map((added, window) => {
    part += (parts[window] ?? 0) - (parts[window - windows] ?? 0);
    whole += added - (wholes[window - windows] ?? 0);
    return whole === 0 ? 0 : Math.min(1, part / whole);
  });
}
