import { Button, SegmentedControl } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";

import type { QueryAnswer, SchemaEvent } from "../api/types.ts";
import { writeQuestion, START as EXPLORE } from "../explore/question.ts";
import { change, fullNumber, shortNumber, valueLabel } from "../format.ts";
import { goTo } from "../location.ts";
import type { Session } from "../session.ts";
import { Link } from "../ui/Link.tsx";
import { Bars } from "./Bars.tsx";
import { Find } from "./Find.tsx";
import { partOf } from "./ledger.ts";
import { type Bar, type Mark, type NamedEvents, barsByName, hourAge, matching, namedEvents } from "./names.ts";
import { usePolled } from "./usePolled.ts";
import { MAX_ROWS, ONLY, ROWS_STEP, type View, spanOf, writeView } from "./view.ts";

const SEARCH_RESTS_MS = 200;
/** As many names as an answer may have groups. */
export const MAX_NAMES = 10_000;

export function MarkBadge({ mark }: { mark: Mark }) {
  if (mark === null) return null;
  return (
    <span className="data-mark small" data-mark={mark}>
      {mark === "new" ? "New" : "Gone quiet"}
    </span>
  );
}

/** The question about a name, in Explore. */
export function exploreEvent(name: string, range: string): string {
  return `/explore${writeQuestion({ ...EXPLORE, measure: "events", event: name, range, interval: spanOf(range).interval })}`;
}

interface EventRowProps {
  row: NamedEvents;
  bars: readonly Bar[];
  view: View;
  nowMs: number;
}

function EventRow({ row, bars, view, nowMs }: EventRowProps) {
  const { name, now, before, share, mark, lastHour } = row;
  const label = valueLabel(name);
  return (
    <tr>
      <th scope="row">
        <span className="data-name">
          <button
            type="button"
            className="data-open cut"
            title={label}
            onClick={() => {
              goTo(`/data${writeView({ ...view, open: name })}`);
            }}
          >
            {label}
          </button>
          <MarkBadge mark={mark} />
        </span>
        <span className="data-phone small quiet">
          {hourAge(lastHour, nowMs)}
          {change(now, before) !== null && `, ${change(now, before) ?? ""}`}
        </span>
      </th>
      <td className="amount" title={fullNumber(now)}>
        {shortNumber(now)}
      </td>
      <td className="amount data-wide">{share === null ? "–" : partOf(share, 1)}</td>
      <td className="amount data-wide" title={`${fullNumber(before)} in the period before`}>
        {change(now, before) ?? "–"}
      </td>
      <td className="data-spark">
        <Bars name={label} bars={bars} interval={spanOf(view.range).interval} />
      </td>
      <td className="amount data-wide">{hourAge(lastHour, nowMs)}</td>
      <td className="amount data-wide">
        <Link href={exploreEvent(name, view.range)} className="link" aria-label={`Explore ${label}`}>
          Explore
        </Link>
      </td>
    </tr>
  );
}

/** Why no name is shown, in words. */
function noneInWords(find: string, only: string): string {
  const named = find === "" ? "" : ` that contains “${find}”`;
  if (only === "new") return `No name${named} is new in this range.`;
  return only === "quiet" ? `No name${named} has gone quiet: whatever came in the period before came in this one, too.` : `No event name${named} is known.`;
}

interface EventListProps {
  session: Session;
  view: View;
  volumes: QueryAnswer;
  schema: readonly SchemaEvent[];
  nowMs: number;
  onChange: (view: View, replace?: boolean) => void;
}

/** Names with their volume over the range, and what is new or missing among them. */
export function EventList({ session, view, volumes, schema, nowMs, onChange }: EventListProps) {
  const span = spanOf(view.range);
  const all = namedEvents(volumes, schema);
  const found = matching(all, view.find, view.only);
  const rows = found.slice(0, view.rows);
  // In an order of their own, and once the search rests: the small charts are asked for anew when other names are shown, not at each letter.
  const [names] = useDebouncedValue(JSON.stringify(rows.map(({ name }) => name).sort()), SEARCH_RESTS_MS);
  const filters = [{ property: "event", op: "in", value: JSON.parse(names) as string[] }];
  const body = { metric: "events", group_by: "event", interval: span.interval, range: span.query, filters, limit: MAX_ROWS };
  const series = usePolled<QueryAnswer>(session, { call: names === "[]" ? null : "query", body, everyMs: 60_000 });
  const bars = series.answer === undefined ? new Map<string, Bar[]>() : barsByName(series.answer, nowMs);
  const count = (only: string) => (only === "" ? all.length : all.filter(({ mark }) => mark === only).length);
  return (
    <section className="panel data-list" aria-label="Events">
      <header>
        <Find
          label="Search event names"
          value={view.find}
          onChange={(find) => {
            onChange({ ...view, find, rows: ROWS_STEP }, true);
          }}
        />
        <SegmentedControl
          size="xs"
          aria-label="Which names"
          data={ONLY.map(({ value, label }) => ({ value, label: `${label} ${fullNumber(count(value))}` }))}
          value={view.only}
          onChange={(only) => {
            onChange({ ...view, only, rows: ROWS_STEP });
          }}
        />
      </header>
      {rows.length === 0 ? (
        <p className="data-none quiet">{noneInWords(view.find, view.only)}</p>
      ) : (
        <table className="data-table tabular">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" className="amount">Events</th>
              <th scope="col" className="amount data-wide">Share</th>
              <th scope="col" className="amount data-wide">Change</th>
              <th scope="col" className="data-spark">By {span.interval}</th>
              <th scope="col" className="amount data-wide">Last seen</th>
              <th scope="col" className="data-wide">
                <span className="unseen">In Explore</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <EventRow key={row.name} row={row} bars={bars.get(row.name) ?? []} view={view} nowMs={nowMs} />
            ))}
          </tbody>
        </table>
      )}
      {found.length > rows.length && (
        <footer>
          <span className="small quiet tabular">
            {fullNumber(rows.length)} of {fullNumber(found.length)} names{view.rows === MAX_ROWS && "; search for the others"}
          </span>
          {view.rows < MAX_ROWS && (
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => {
                onChange({ ...view, rows: Math.min(MAX_ROWS, view.rows + ROWS_STEP) });
              }}
            >
              Show more
            </Button>
          )}
        </footer>
      )}
      {series.error !== null && <p className="data-none small quiet">The small charts could not be read: {series.error.message}</p>}
      <p className="data-foot small quiet">
        Stored events by their own time, so history that was sent late counts in its past; change is against the period of the same length before. New: never seen before this range. Gone
        quiet: seen in the period before, and not in this one.
      </p>
    </section>
  );
}
