import { useLayoutEffect, useRef } from "react";

import { fullNumber, shortNumber, valueLabel } from "../format.ts";

/** As in the style sheet. */
const ROW_PX = 32;
const MOTION_MS = 150;

export interface RankedRow {
  name: string;
  count: number;
}

/** Lets each row glide from its old place to its new one, unless the system asks for less motion. */
function useGliding(names: string[]) {
  const list = useRef<HTMLOListElement>(null);
  const before = useRef(new Map<string, number>());
  const order = names.join("\n");
  useLayoutEffect(() => {
    const places = new Map(names.map((name, place) => [name, place]));
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    [...(list.current?.children ?? [])].forEach((row, place) => {
      const old = before.current.get(names[place] ?? "");
      if (still || old === undefined || old === place) return;
      row.animate([{ transform: `translateY(${(old - place) * ROW_PX}px)` }, { transform: "none" }], { duration: MOTION_MS, easing: "ease-out" });
    });
    before.current = places;
    // The order decides; a new array with the same names moves nothing.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [order]);
  return list;
}

/** Names by count as bars that grow and change places smoothly; the list keeps its height, so nothing below it moves. */
export function RankedBars({ title, unit, rows, hint }: { title: string; unit: string; rows: RankedRow[]; hint: string }) {
  const list = useGliding(rows.map((row) => row.name));
  const highest = Math.max(1, ...rows.map((row) => row.count));
  return (
    <section className="panel ranked" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span className="quiet small">{unit}</span>
      </header>
      <ol ref={list}>
        {rows.map((row) => (
          <li key={row.name}>
            <span className="ranked-bar" style={{ clipPath: `inset(0 ${(100 - (row.count / highest) * 100).toFixed(2)}% 0 0 round 4px)` }} />
            <span className="ranked-name cut" title={row.name}>
              {valueLabel(row.name)}
            </span>
            <span className="ranked-count tabular" title={fullNumber(row.count)}>
              {shortNumber(row.count)}
            </span>
          </li>
        ))}
        {rows.length === 0 && <li className="quiet ranked-none">{hint}</li>}
      </ol>
    </section>
  );
}
