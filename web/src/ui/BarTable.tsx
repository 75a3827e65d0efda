import type { ReactNode } from "react";

export interface BarRow {
  key: string;
  label: ReactNode;
  /** In full, on hover. */
  title?: string;
  /** Length of its bar, 0 to 1. */
  part: number;
  cells: string[];
}

interface BarTableProps {
  /** What the rows are, for screen readers. */
  label: string;
  /** Heads of the columns, the one of names first. */
  heads: string[];
  rows: readonly BarRow[];
}

/** Names with a bar behind them as long as their share, and their numbers. */
export function BarTable({ label, heads, rows }: BarTableProps) {
  return (
    <table className="bar-table tabular" aria-label={label}>
      <thead>
        <tr>
          {heads.map((head, at) => (
            <th key={at} scope="col" className={at === 0 ? undefined : "amount"}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key}>
            <th scope="row" title={row.title}>
              <span className="bar" style={{ clipPath: `inset(0 ${(100 - Math.min(1, row.part) * 100).toFixed(2)}% 0 0 round 4px)` }} />
              <span className="bar-label">{row.label}</span>
            </th>
            {row.cells.map((cell, at) => (
              <td key={at} className="amount">
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
