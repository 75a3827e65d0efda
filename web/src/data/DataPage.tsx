import { SegmentedControl } from "@mantine/core";
import { useMemo } from "react";

import type { QueryAnswer, Schema } from "../api/types.ts";
import { Answered } from "../builder/Answered.tsx";
import { EXAMPLE_EVENT, sendCommand } from "../builder/curl.ts";
import { named } from "../builder/named.ts";
import type { Asked } from "../builder/useAnswer.ts";
import { shortNumber } from "../format.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps, Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { Snippet } from "../ui/Snippet.tsx";
import { Tabs } from "../ui/Tabs.tsx";
import { EventDetails, PropertyDetails } from "./Details.tsx";
import { EventList, MAX_NAMES } from "./EventList.tsx";
import { LedgerPanel } from "./LedgerPanel.tsx";
import { PropertyList } from "./PropertyList.tsx";
import { NEWEST_REFUSED, RejectedList } from "./RejectedList.tsx";
import { type LedgerAnswer, lastReceivedMs } from "./ledger.ts";
import type { Refused } from "./rejects.ts";
import { usePolled } from "./usePolled.ts";
import { ROWS_STEP, SIDES, SPANS, type View, readView, spanOf, writeView } from "./view.ts";

const EVERY_MS = 60_000;
const FIRST_MS = 5_000;
const MINUTE_MS = 60_000;
/** How far back the last event is looked for. */
const LOOK_BACK_MS = 30 * 86_400_000;

/** The ledger of the last `lengthMs`, from a whole minute on. */
function since(lengthMs: number, limit: number): string {
  const from = Math.floor((Date.now() - lengthMs) / MINUTE_MS) * MINUTE_MS;
  return `?${new URLSearchParams({ from: new Date(from).toISOString(), limit: String(limit) }).toString()}`;
}

/** The ledger of the range, and the last minute that received anything, even before the range. */
function useLedger(session: Session, range: string): { asked: Asked<LedgerAnswer>; lastMs: number | null; knowsLast: boolean } {
  const { lengthMs, everyMs } = spanOf(range);
  const asked = usePolled<LedgerAnswer>(session, {
    call: "ledger",
    key: range,
    parameters: () => since(lengthMs, lengthMs / MINUTE_MS),
    // Somebody may be waiting for the first event.
    everyMs: (answer) => (answer?.totals.received === 0 ? FIRST_MS : everyMs),
  });
  const isEmpty = asked.answer?.totals.received === 0;
  const before = usePolled<LedgerAnswer>(session, { call: isEmpty ? "ledger" : null, key: "last", parameters: () => since(LOOK_BACK_MS, 1), everyMs: EVERY_MS });
  return { asked, lastMs: lastReceivedMs(isEmpty ? before.answer : asked.answer), knowsLast: !isEmpty || before.answer !== undefined };
}

function NoEvents() {
  return (
    <Message title="No events yet">
      <p className="quiet">This page shows whether everything arrives, and what is wrong with what was refused. Send an event with the app&rsquo;s write key and it appears here within seconds:</p>
      <Snippet text={sendCommand(window.location.origin, EXAMPLE_EVENT)} label="A command that sends one event" />
    </Message>
  );
}

interface SideProps extends PageProps {
  view: View;
  ledger: LedgerAnswer;
  schema: Asked<Schema>;
  volumes: Asked<QueryAnswer>;
  zone: string;
  onChange: (view: View, replace?: boolean) => void;
}

function EventsSide({ session, onDisconnect, view, schema, volumes, onChange }: SideProps) {
  const known = schema.answer?.events ?? [];
  const both: Asked<QueryAnswer> = { ...volumes, error: volumes.error ?? schema.error, retry: volumes.error === null ? schema.retry : volumes.retry };
  return (
    <>
      <Answered asked={schema.answer === undefined ? { ...both, answer: undefined, asking: schema.asking || volumes.asking } : both} missing={null} bones={<Bone height={320} />} onDisconnect={onDisconnect}>
        {(answer) => <EventList session={session} view={view} volumes={answer} schema={known} nowMs={volumes.answeredAt} onChange={onChange} />}
      </Answered>
      {view.open !== "" && (
        <EventDetails
          session={session}
          onDisconnect={onDisconnect}
          name={view.open}
          range={view.range}
          known={known.find(({ name }) => name === view.open)}
          onClose={() => {
            onChange({ ...view, open: "" });
          }}
        />
      )}
    </>
  );
}

function PropertiesSide({ onDisconnect, view, schema, onChange }: SideProps) {
  const opened = schema.answer?.properties.find(({ name }) => name === view.open);
  return (
    <>
      <Answered asked={schema} missing={null} bones={<Bone height={320} />} onDisconnect={onDisconnect}>
        {(answer) => <PropertyList view={view} schema={answer} onChange={onChange} />}
      </Answered>
      {opened !== undefined && (
        <PropertyDetails
          property={opened}
          onClose={() => {
            onChange({ ...view, open: "" });
          }}
        />
      )}
    </>
  );
}

function RejectedSide({ session, onDisconnect, view, ledger, zone, onChange }: SideProps) {
  const asked = usePolled<{ rejected: Refused[] }>(session, { call: "rejected", key: view.range, parameters: () => `?limit=${NEWEST_REFUSED}`, everyMs: EVERY_MS });
  return (
    <Answered asked={asked} missing={null} bones={<Bone height={240} />} onDisconnect={onDisconnect}>
      {({ rejected }) => (
        <RejectedList
          ledger={ledger}
          refused={rejected}
          zone={zone}
          open={view.open}
          onOpen={(code) => {
            onChange({ ...view, open: code });
          }}
        />
      )}
    </Answered>
  );
}

function RangeControl({ view, onChange }: { view: View; onChange: (view: View) => void }) {
  return (
    <SegmentedControl
      size="xs"
      className="data-range"
      aria-label="Range"
      data={SPANS.map(({ value, label }) => ({ value, label }))}
      value={view.range}
      onChange={(range) => {
        onChange({ ...view, range });
      }}
    />
  );
}

/** Is everything arriving, and is it right? */
export default function DataPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const view = useMemo(() => readView(search), [search]);
  const span = spanOf(view.range);
  const { asked, lastMs, knowsLast } = useLedger(session, view.range);
  const schema = usePolled<Schema>(session, { call: "schema", everyMs: EVERY_MS });
  const body = { metric: "events", group_by: "event", range: span.query, compare: "previous_period", limit: MAX_NAMES };
  const volumes = usePolled<QueryAnswer>(session, { call: "query", body, everyMs: EVERY_MS });
  const zone = volumes.answer?.timezone ?? "UTC";
  const onChange = (changed: View, replace = false) => {
    goTo(`/data${writeView(changed)}`, replace);
  };
  const rejected = asked.answer?.totals.rejected ?? 0;
  const nameOf = (side: string) => `${named(SIDES, side)}${side === "rejected" && rejected > 0 ? ` ${shortNumber(rejected)}` : ""}`;
  const tabs = SIDES.map(({ value }) => ({ name: nameOf(value), href: `/data${writeView({ ...view, side: value, find: "", only: "", open: "", rows: ROWS_STEP })}` }));
  const isEmpty = asked.answer?.totals.received === 0 && knowsLast && lastMs === null && schema.answer?.events.length === 0;
  const Side = view.side === "events" ? EventsSide : view.side === "properties" ? PropertiesSide : RejectedSide;
  return (
    <Page title="Data" about="Is everything arriving, and is it right?" end={<RangeControl view={view} onChange={onChange} />}>
      {isEmpty ? (
        <NoEvents />
      ) : (
        <Answered asked={asked} missing={null} bones={<Bone height={480} />} onDisconnect={onDisconnect}>
          {(ledger) => (
            <>
              <LedgerPanel ledger={ledger} bucketMs={span.bucketMs} zone={zone} lastMs={lastMs} knowsLast={knowsLast} />
              <Tabs label="Sides of this page" tabs={tabs} current={nameOf(view.side)} />
              <Side session={session} onDisconnect={onDisconnect} view={view} ledger={ledger} schema={schema} volumes={volumes} zone={zone} onChange={onChange} />
            </>
          )}
        </Answered>
      )}
    </Page>
  );
}
