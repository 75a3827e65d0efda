import { Tooltip } from "@mantine/core";

/** Points drawn at most: neighbours are averaged, so that a line of 1.5 pixels stays readable. */
const MAX_POINTS = 90;
const HEIGHT = 40;

/** Averages runs of neighbours down to at most `MAX_POINTS`. */
export function thin(points: number[]): number[] {
  const run = Math.ceil(points.length / MAX_POINTS);
  if (run <= 1) return points;
  const means: number[] = [];
  for (let start = points.length % run; start < points.length; start += run) {
    const part = points.slice(start, start + run);
    means.push(part.reduce((sum, point) => sum + point, 0) / part.length);
  }
  return means;
}

function Sparkline({ points, label }: { points: number[]; label: string }) {
  // The open window would always look like a fall.
  const shown = thin(points.slice(0, -1));
  if (shown.length < 2) return <svg viewBox={`0 0 100 ${HEIGHT}`} aria-hidden="true" />;
  const highest = Math.max(1e-9, ...shown);
  const step = 100 / (shown.length - 1);
  const line = shown.map((point, index) => `${(index * step).toFixed(2)},${(HEIGHT - 2 - (point / highest) * (HEIGHT - 6)).toFixed(2)}`).join(" ");
  return (
    <svg viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon className="area" points={`0,${HEIGHT} ${line} 100,${HEIGHT}`} />
      <polyline className="line" points={line} />
    </svg>
  );
}

interface FigureProps {
  name: string;
  note: string;
  value: string;
  full: string;
  /** Relative standard error of a value that comes from a sketch. */
  error?: number;
  points: number[];
  stepMs: number;
}

/** One large number with its recent past. */
export function Figure({ name, note, value, full, error, points, stepMs }: FigureProps) {
  const minutes = Math.round((points.length * stepMs) / 60_000);
  return (
    <section className="panel figure" aria-label={name}>
      <h2>{name}</h2>
      <strong data-figure={name}>
        {error !== undefined && (
          <Tooltip label={`Estimated: ±${(error * 100).toFixed(1)} % standard error; small numbers are close to exact`}>
            <span className="about">about </span>
          </Tooltip>
        )}
        <span title={full}>{value}</span>
      </strong>
      <span className="quiet small" title={note}>
        {note}
      </span>
      {points.length > 0 && <Sparkline points={points} label={`${name} over the last ${minutes} minutes`} />}
    </section>
  );
}
