import { type CSSProperties, type KeyboardEvent, type ReactNode, useRef, useState } from "react";

import { fullNumber, percent, shortNumber } from "../format.ts";
import { inPeriod, periodName } from "./curve.ts";
import type { Cell, Heat, HeatRow } from "./heat.ts";
import type { Shown } from "./retention.ts";

interface HeatTableProps {
  heat: Heat;
  /** What the rows are: "Cohort", or the property of a breakdown. */
  head: string;
  period: string;
  show: string;
  label: string;
  /** Opens the persons of a cell, where they can be told. */
  onShow?: (shown: Shown) => void;
}

const STEPS: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** One tab stop for the whole table; arrows go from cell to cell. */
function useCellKeys() {
  const table = useRef<HTMLTableElement>(null);
  const [current, setCurrent] = useState<string | null>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    const from = event.target instanceof HTMLElement ? event.target.dataset["cell"] : undefined;
    if (step === undefined || from === undefined) return;
    const [row = 0, column = 0] = from.split(",").map(Number);
    const to = `${row + step[0]},${column + step[1]}`;
    const cell = table.current?.querySelector<HTMLElement>(`[data-cell="${to}"]`);
    if (cell === null || cell === undefined) return;
    event.preventDefault();
    setCurrent(to);
    cell.focus();
  };
  return { table, current, onKeyDown };
}

const shownText = (cell: Cell, show: string) => (show === "count" ? shortNumber(cell.count) : percent(cell.share));

const inWords = (cell: Cell, show: string, name: string, period: string) => `${shownText(cell, show)}: ${fullNumber(cell.count)} of ${fullNumber(cell.size)} of ${name} ${period}${cell.growing ? ", so far" : ""}`;

/** The number of a cell on its colour. */
function CellValue({ cell, top, show }: { cell: Cell; top: number; show: string }) {
  const style = { "--heat": Math.min(1, (cell.share ?? 0) / top).toFixed(3) } as CSSProperties;
  return (
    <span className="heat" data-growing={cell.growing} data-nobody={cell.share === null} style={style}>
      {shownText(cell, show)}
    </span>
  );
}

function Row({ row, at, props, current }: { row: HeatRow; at: number; props: HeatTableProps; current: string | null }) {
  const { heat, period, show, onShow } = props;
  const { cohort } = row;
  const opens = cohort !== null && row.size > 0 && onShow !== undefined;
  // Before one has been in the table, its first cell is where the keyboard comes in.
  const first = heat.rows.findIndex((other) => other.cohort !== null && other.size > 0);
  const stop = (key: string) => (current ?? `${first},0`) === key;
  const button = (column: number, label: string, content: ReactNode, shown: Shown, className: string) => (
    <button type="button" className={className} data-cell={`${at},${column}`} tabIndex={stop(`${at},${column}`) ? 0 : -1} aria-label={label} title={label} onClick={() => onShow?.(shown)}>
      {content}
    </button>
  );
  return (
    <tr className={cohort === null ? "heat-whole" : undefined}>
      <th scope="row" title={row.name}>
        {row.name}
      </th>
      <td className="amount">{opens ? button(0, `${fullNumber(row.size)} persons of ${row.name}`, fullNumber(row.size), { cohort, period: null }, "number-link") : fullNumber(row.size)}</td>
      {Array.from({ length: heat.columns }, (_, place) => {
        const cell = row.cells[place] ?? null;
        if (cell === null) return <td key={place} />;
        const label = inWords(cell, show, row.name, inPeriod(period, place));
        const value = <CellValue cell={cell} top={heat.top} show={show} />;
        return (
          <td key={place} className="heat-cell" title={label}>
            {opens ? button(place + 1, label, value, { cohort, period: place }, "heat-button") : value}
          </td>
        );
      })}
    </tr>
  );
}

/** Shares as a table of cells, darker the more came back; hatched where they may still grow. */
export function HeatTable(props: HeatTableProps) {
  const { heat, head, period, label } = props;
  const { table, current, onKeyDown } = useCellKeys();
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <section className="heat-scroll" aria-label={label} tabIndex={0}>
      {/* Keys move between the buttons inside; the table itself takes none. */}
      {/* eslint-disable-next-line jsx-a11y-x/no-noninteractive-element-interactions */}
      <table ref={table} className="heat-table tabular" onKeyDown={onKeyDown}>
        <thead>
          <tr>
            <th scope="col">{head}</th>
            <th scope="col" className="amount">
              Persons
            </th>
            {Array.from({ length: heat.columns }, (_, place) => (
              <th key={place} scope="col" className="amount" aria-label={periodName(period, place)}>
                {place === 0 ? periodName(period, 0) : place}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {heat.rows.map((row, at) => (
            // Names may be the same: of what is not set, and of a text that reads so.
            <Row key={at} row={row} at={at} props={props} current={current} />
          ))}
        </tbody>
      </table>
    </section>
  );
}
