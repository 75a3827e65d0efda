import { fullNumber, label, shortNumber } from "../format.ts";

const SHOWN = 10;

/** Names by count as bars that grow smoothly; a bar is scaled, not resized, so nothing around it moves. */
export function RankedBars({ title, unit, rows }: { title: string; unit: string; rows: { name: string; count: number }[] }) {
  const highest = Math.max(1, ...rows.map((row) => row.count));
  return (
    <section className="panel ranked" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span className="quiet small">{unit}</span>
      </header>
      <ol>
        {rows.slice(0, SHOWN).map((row) => (
          <li key={row.name}>
            <span className="fill" style={{ transform: `scaleX(${row.count / highest})` }} />
            <span className="name" title={row.name}>
              {label(row.name)}
            </span>
            <span className="count" title={fullNumber(row.count)}>
              {shortNumber(row.count)}
            </span>
          </li>
        ))}
        {rows.length === 0 && <li className="quiet">nothing yet</li>}
      </ol>
    </section>
  );
}
