import type { Value } from "../api/types.ts";
import { type SqlAnswer, type SqlColumn, isNumeric, isTime } from "./answer.ts";

/** Rows that are drawn; more would make the page slow to scroll. */
export const MAX_ROWS_SHOWN = 1_000;

/** A value as a cell shows it: times without what they all have in common, integers with every digit a browser keeps. */
function inCell(value: string | number | boolean, column: SqlColumn): string {
  if (typeof value === "string") return isTime(column) ? value.replace("T", " ").replace(/(\+00:00|Z)$/, "") : value;
  if (typeof value !== "number") return String(value);
  if (column.type === "integer") return `${Number.isSafeInteger(value) ? "" : "≈ "}${value.toLocaleString("en-US", { useGrouping: false })}`;
  return value.toLocaleString("en-US", { useGrouping: false, maximumFractionDigits: 4 });
}

function Cell({ value, column }: { value: Value; column: SqlColumn }) {
  const className = isNumeric(column) ? "amount" : undefined;
  if (value === null) return <td className={className}><span className="sql-null">NULL</span></td>;
  return (
    <td className={className} title={String(value)}>
      {inCell(value, column)}
    </td>
  );
}

/** The rows of an answer, as many as a page bears. */
export function SqlTable({ answer }: { answer: SqlAnswer }) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <section className="panel table tabular" aria-label="Rows" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {answer.columns.map((column, at) => (
              <th key={at} scope="col" className={isNumeric(column) ? "amount" : undefined} title={`${column.name}, ${column.type}`}>
                {column.name} <span className="sql-type">{column.type}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {answer.rows.slice(0, MAX_ROWS_SHOWN).map((row, place) => (
            // Rows have no names, and never change places within an answer.
            <tr key={place}>
              {answer.columns.map((column, at) => (
                <Cell key={at} value={row[at] ?? null} column={column} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
