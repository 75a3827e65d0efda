import { type PointerEvent, memo } from "react";

import type { SparkPoint } from "./spark.ts";

const WIDTH = 1_000;
const HEIGHT = 56;
const TOP = 3;

interface SparklineProps {
  points: SparkPoint[];
  /** What is drawn, for those who do not see it. */
  label: string;
  /** The point under the pointer. */
  picked: SparkPoint | null;
  onPick: (point: SparkPoint | null) => void;
}

/** The recent past as a filled line from zero; its width follows the card, its strokes do not. */
export const Sparkline = memo(function Sparkline({ points, label, picked, onPick }: SparklineProps) {
  const highest = Math.max(Number.MIN_VALUE, ...points.map((point) => point.value));
  const last = Math.max(1, points.length - 1);
  const x = (index: number) => (index / last) * WIDTH;
  const y = (value: number) => HEIGHT - (value / highest) * (HEIGHT - TOP);
  const line = points.map((point, index) => `${x(index).toFixed(1)},${y(point.value).toFixed(1)}`).join(" ");
  const at = picked === null ? -1 : points.findIndex((point) => point.at === picked.at);
  const onPointerMove = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onPick(points[Math.round(((event.clientX - box.left) / box.width) * last)] ?? null);
  };
  return (
    <svg
      className="spark"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
      onPointerMove={onPointerMove}
      onPointerLeave={() => {
        onPick(null);
      }}
    >
      <polygon className="spark-area" points={`0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
      <polyline className="spark-line" points={line} />
      <line className="spark-base" x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
      {at >= 0 && <line className="spark-cursor" x1={x(at)} x2={x(at)} y1="0" y2={HEIGHT} />}
    </svg>
  );
});
