import { Button } from "@mantine/core";
import { useState } from "react";

import { fullNumber, percent, valueLabel } from "../format.ts";
import { BarTable } from "../ui/BarTable.tsx";
import { ArrowIcon } from "../ui/icons.tsx";
import type { PathRow } from "./answer.ts";

/** Rows before "more" is asked for, and as many again each time. */
const PAGE = 25;

function Names({ path }: { path: PathRow["path"] }) {
  if (path === "$other") return <span className="quiet">All rarer paths</span>;
  return (
    <ol className="path-names">
      {path.map((name, at) => (
        // A name may stand in a path more than once.
        <li key={at}>
          {at > 0 && <ArrowIcon />}
          <span className="cut" title={valueLabel(name)}>
            {valueLabel(name)}
          </span>
        </li>
      ))}
    </ol>
  );
}

/** Whole paths, most frequent first. */
export function PathTable({ paths }: { paths: readonly PathRow[] }) {
  const [shown, setShown] = useState(PAGE);
  // The rest is no path: its bar would only make the others short.
  const partOf = ({ path, share }: PathRow) => (path === "$other" ? 0 : (share ?? 0));
  const largest = Math.max(...paths.map(partOf), Number.MIN_VALUE);
  const rows = paths.slice(0, shown).map((row) => ({
    key: JSON.stringify(row.path),
    label: <Names path={row.path} />,
    part: partOf(row) / largest,
    cells: [fullNumber(row.sequences), fullNumber(row.users), percent(row.share)],
  }));
  return (
    <section className="panel bar-panel" aria-label="Paths">
      <BarTable label="Most frequent paths" heads={["Path", "Times", "Persons", "Share"]} rows={rows} />
      {paths.length > shown && (
        <Button
          variant="subtle"
          color="gray"
          size="xs"
          onClick={() => {
            setShown(shown + PAGE);
          }}
        >
          Show {Math.min(PAGE, paths.length - shown)} more of {fullNumber(paths.length)}
        </Button>
      )}
    </section>
  );
}
