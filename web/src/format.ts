const FULL = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const ONE_DECIMAL = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const STEPS: [number, string][] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];

/** `1,234` up to 9,999, then `14.2k`, `142k`, `1.4M`; one decimal for small fractions. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size < 9_999.5) return size < 99.95 && !Number.isInteger(value) ? value.toFixed(1) : WHOLE.format(value);
  const [unit, letter] = STEPS.find(([unit]) => size >= unit * 0.9995) ?? [1, ""];
  const scaled = value / unit;
  return `${scaled.toFixed(Math.abs(scaled) < 99.95 ? 1 : 0)}${letter}`;
}

/** Every digit before the point, two after it. */
export function fullNumber(value: number): string {
  return FULL.format(value);
}

/** A fraction with one decimal, as `12.3%`; a dash where there is none. */
export function percent(fraction: number | null): string {
  return fraction === null ? "–" : `${(fraction * 100).toFixed(1)}%`;
}

/** A length of time, as `850 ms`, `2.4 s`, `2 min 5 s`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1_000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

const LENGTHS: [number, string][] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"],
];

/** A length that somebody chose, in its largest whole unit: `7 days`, `1 hour`, `90 minutes`. */
export function lengthInWords(milliseconds: number): string {
  const [unit, name] = LENGTHS.find(([unit]) => milliseconds >= unit && milliseconds % unit === 0) ?? [1, "millisecond"];
  const count = milliseconds / unit;
  return `${WHOLE.format(count)} ${name}${count === 1 ? "" : "s"}`;
}

/** How old something is, in whole seconds, minutes or hours; `now` below two seconds. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  if (seconds < 2) return "now";
  if (seconds < 120) return `${seconds} s ago`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3_600)} h ago`;
}

/** A change with its sign, as `+12.3%`; null where there is nothing to compare with. */
export function change(now: number, before: number): string | null {
  if (before === 0) return null;
  const fraction = (now - before) / before;
  const shown = `${ONE_DECIMAL.format(Math.abs(fraction) * 100)}%`;
  return shown === "0.0%" ? "±0.0%" : `${fraction > 0 ? "+" : "−"}${shown}`;
}

/** A value of a group as text. */
export function valueLabel(value: unknown): string {
  if (value === null || value === undefined) return "(not set)";
  if (value === "$other") return "Other";
  if (value === "") return "(empty)";
  return typeof value === "string" ? value : JSON.stringify(value);
}
