import { Button } from "@mantine/core";

import type { SchemaProperty } from "../api/types.ts";
import { EXAMPLES } from "./examples.ts";
import { TABLES, propertyInSql } from "./tables.ts";

interface ColumnsProps {
  columns: { name: string; type: string; about?: string; sql: string }[];
  onInsert: (sql: string) => void;
}

function Columns({ columns, onInsert }: ColumnsProps) {
  return (
    <ul className="sql-columns">
      {columns.map(({ name, type, about, sql }) => (
        <li key={name}>
          <button
            type="button"
            title={about ?? sql}
            onClick={() => {
              onInsert(sql);
            }}
          >
            <code className="cut">{name}</code>
            <span className="small quiet">{type}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Tables and columns that a statement can read; a click puts a name where the cursor is. */
export function Tables({ properties, onInsert }: { properties: readonly SchemaProperty[]; onInsert: (sql: string) => void }) {
  return (
    <section className="panel sql-aside" aria-label="Tables">
      <h2>Tables</h2>
      {TABLES.map((table, at) => (
        <details key={table.name} open={at === 0}>
          <summary>
            <code>{table.name}</code> <span className="small quiet">a row is {table.row}</span>
          </summary>
          <Columns columns={table.columns.map((column) => ({ ...column, sql: column.name }))} onInsert={onInsert} />
        </details>
      ))}
      {properties.length > 0 && (
        <details>
          <summary>
            Properties <span className="small quiet">of this app&rsquo;s events</span>
          </summary>
          <Columns columns={properties.map((property) => ({ name: property.name, type: property.types.join(", "), sql: propertyInSql(property) }))} onInsert={onInsert} />
        </details>
      )}
    </section>
  );
}

/** Statements to begin with. */
export function Examples({ onPick }: { onPick: (sql: string) => void }) {
  return (
    <section className="panel sql-aside" aria-label="Examples">
      <h2>Examples</h2>
      <ul className="sql-columns">
        {EXAMPLES.map(({ title, sql }) => (
          <li key={title}>
            <button
              type="button"
              title={sql}
              onClick={() => {
                onPick(sql);
              }}
            >
              <span className="cut">{title}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What was run in this browser before. */
export function History({ statements, onPick, onForget }: { statements: readonly string[]; onPick: (sql: string) => void; onForget: () => void }) {
  if (statements.length === 0) return null;
  return (
    <section className="panel sql-aside" aria-label="History">
      <header>
        <h2>History</h2>
        <Button variant="subtle" color="gray" size="compact-xs" onClick={onForget}>
          Clear
        </Button>
      </header>
      <ul className="sql-columns">
        {statements.map((sql) => (
          <li key={sql}>
            <button
              type="button"
              title={sql}
              onClick={() => {
                onPick(sql);
              }}
            >
              <code className="cut">{sql.replace(/\s+/g, " ")}</code>
            </button>
          </li>
        ))}
      </ul>
      <p className="small quiet">The last 20, kept in this browser only.</p>
    </section>
  );
}
