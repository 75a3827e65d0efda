import { type ReactNode, useState } from "react";

import { About } from "../ui/About.tsx";
import { Sparkline } from "./Sparkline.tsx";
import type { SparkPoint } from "./spark.ts";

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

interface FigureProps {
  name: string;
  /** Short, as it is shown. */
  value: string;
  /** In full, on hover. */
  full: string;
  /** What the number covers; gives way to the picked point. */
  note: ReactNode;
  /** Relative standard error of a value that comes from a sketch. */
  error?: number;
  points: SparkPoint[];
  /** A point of the line in words. */
  describe: (value: number) => string;
}

/** One large number with its last half hour. */
export function Figure({ name, value, full, note, error, points, describe }: FigureProps) {
  const [picked, setPicked] = useState<SparkPoint | null>(null);
  const highest = Math.max(0, ...points.map((point) => point.value));
  return (
    <section className="panel figure" aria-label={name}>
      <h2>{name}</h2>
      <div className="figure-value">
        {error !== undefined && <About error={error} />}
        <strong data-figure={name} title={full}>
          {value}
        </strong>
      </div>
      <div className="figure-note small quiet tabular">
        {picked === null ? (
          note
        ) : (
          <span className="cut">
            {CLOCK.format(picked.at)}: {describe(picked.value)}
          </span>
        )}
      </div>
      <Sparkline points={points} label={`${name} over the last 30 minutes: at most ${describe(highest)}`} picked={picked} onPick={setPicked} />
    </section>
  );
}
