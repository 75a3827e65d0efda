const FULL = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

/** `1,234` up to 9,999, then `14.2k`, `142k`, `1.4M`. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size < 10_000) return new Intl.NumberFormat("en-US", { maximumFractionDigits: size < 100 && !Number.isInteger(value) ? 1 : 0 }).format(value);
  const steps: [number, string][] = [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const [unit, letter] = steps.find(([unit]) => size >= unit * 0.9995) ?? [1, ""];
  const scaled = value / unit;
  return `${scaled.toFixed(Math.abs(scaled) < 99.95 ? 1 : 0)}${letter}`;
}

/** Every digit. */
export function fullNumber(value: number): string {
  return FULL.format(value);
}

/** A fraction as `12.3 %`; a dash where there is none. */
export function percent(fraction: number | null): string {
  return fraction === null ? "–" : `${(fraction * 100).toFixed(1)} %`;
}

/** How long ago, as `now`, `12 s`, `3 min`. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 2) return "now";
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}

/** A value of a group as a label. */
export function label(value: unknown): string {
  if (value === null || value === undefined) return "(not set)";
  if (value === "$other") return "Other";
  if (value === "") return "(empty)";
  return typeof value === "string" ? value : JSON.stringify(value);
}
