import { timeLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import type { Bar } from "./names.ts";

const WIDTH = 120;
const HEIGHT = 24;

/** A small chart of bars from zero; the last is paler, its time is not over. */
export function Bars({ name, bars, interval }: { name: string; bars: readonly Bar[]; interval: string }) {
  const highest = Math.max(0, ...bars.map(({ events }) => events));
  const step = WIDTH / Math.max(1, bars.length);
  const gap = step > 4 ? 1 : step / 4;
  const most = bars.find(({ events }) => events === highest);
  const label = most === undefined || highest === 0 ? `${name}: none in the range` : `${name}: most by ${interval} ${fullNumber(highest)}, ${timeLabel(most.time, interval)}`;
  return (
    <svg className="data-bars" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      {bars.map(({ time, events }, at) => {
        const height = highest === 0 || events === 0 ? 0 : Math.max(1.5, (events / highest) * HEIGHT);
        return <rect key={time} x={at * step} y={HEIGHT - height} width={step - gap} height={height} data-open={at === bars.length - 1} />;
      })}
    </svg>
  );
}
