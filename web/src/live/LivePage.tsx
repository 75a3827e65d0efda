import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { ask } from "../api/client.ts";
import type { Live, Schema } from "../api/types.ts";
import { useLive } from "../api/useLive.ts";
import { EXAMPLE_EVENT, sendCommand } from "../builder/curl.ts";
import { fullNumber, percent, shortNumber } from "../format.ts";
import { goTo, useAddress } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { Picker } from "../ui/Picker.tsx";
import { Snippet } from "../ui/Snippet.tsx";
import { ArrowIcon } from "../ui/icons.tsx";
import { Figure } from "./Figure.tsx";
import { LiveDot } from "./LiveDot.tsx";
import { RankedBars } from "./RankedBars.tsx";
import { sparkPoints, trailingRatio } from "./spark.ts";

const MINUTES = 30;
/** The conversion line looks back over this many windows at each point: a minute. */
const RATIO_WINDOWS = 12;

interface Ends {
  from: string;
  to: string;
}

function readEnds(address: string): Ends {
  const parameters = new URLSearchParams(address.slice(address.indexOf("?") + 1));
  return { from: parameters.get("from") ?? "page_view", to: parameters.get("to") ?? "purchase" };
}

/** Which two events the conversion lies between: both can be picked. */
function ConversionNote({ live, ends, names, onEnds }: { live: Live; ends: Ends; names: { value: string; label: string; hint: string }[]; onEnds: (ends: Ends) => void }) {
  const { from, to, from_users, to_users } = live.conversion;
  return (
    <>
      <span className="quiet small tabular conversion-users" title={`${fullNumber(to_users)} users of ${to}, ${fullNumber(from_users)} of ${from}, in ${MINUTES} min`}>
        {shortNumber(to_users)} to {shortNumber(from_users)}
      </span>
      <Picker
        label="Conversion from"
        choices={names}
        value={ends.from}
        free
        onChange={(from) => {
          onEnds({ ...ends, from });
        }}
      />
      <ArrowIcon />
      <Picker
        label="Conversion to"
        choices={names}
        value={ends.to}
        free
        onChange={(to) => {
          onEnds({ ...ends, to });
        }}
      />
    </>
  );
}

function Figures({ live, stale, conversionNote }: { live: Live; stale: boolean; conversionNote: ReactNode }) {
  // An estimate of nothing is exact.
  const about = (value: number | null) => (value === null || value === 0 ? {} : { error: live.relative_standard_error });
  const { conversion, series } = live;
  const start = Date.parse(series.start);
  const points = (values: number[]) => sparkPoints(values, start, series.step_ms);
  const seconds = series.step_ms / 1_000;
  const total = series.events.reduce((sum, count) => sum + count, 0);
  return (
    <div className="figures" data-stale={stale}>
      <Figure
        name="Active users now"
        value={shortNumber(live.active_users)}
        full={fullNumber(live.active_users)}
        {...about(live.active_users)}
        note={<span className="cut">Last 5 min · {shortNumber(live.active_users_30m)} in {MINUTES} min</span>}
        points={points(series.users)}
        describe={(value) => `about ${shortNumber(value)} users in ${seconds} s`}
      />
      <Figure
        name="Events per second"
        value={shortNumber(live.events_per_second)}
        full={fullNumber(live.events_per_second)}
        note={
          <span className="cut" title={fullNumber(total)}>
            {shortNumber(total)} in {MINUTES} min
          </span>
        }
        points={points(series.events.map((count) => count / seconds))}
        describe={(value) => `${shortNumber(value)} per second`}
      />
      <Figure
        name="Active sessions"
        value={shortNumber(live.active_sessions)}
        full={fullNumber(live.active_sessions)}
        {...about(live.active_sessions)}
        note={<span className="cut">Last {MINUTES} min</span>}
        points={points(series.sessions)}
        describe={(value) => `about ${shortNumber(value)} sessions in ${seconds} s`}
      />
      <Figure
        name="Conversion"
        value={percent(conversion.rate)}
        full={`${fullNumber(conversion.to_users)} users of ${conversion.to}, ${fullNumber(conversion.from_users)} of ${conversion.from}`}
        {...about(conversion.rate)}
        note={conversionNote}
        points={points(trailingRatio(series.to_users, series.from_users, RATIO_WINDOWS))}
        describe={(value) => `about ${percent(value)} within a minute`}
      />
    </div>
  );
}

/** Everything in its final place and size. */
function LiveBones() {
  return (
    <div aria-busy="true" aria-label="Loading">
      <div className="figures">
        {[0, 1, 2, 3].map((figure) => (
          <div className="panel figure" key={figure}>
            <Bone height={20} width="45%" />
            <div className="figure-value">
              <Bone height={28} width="35%" />
            </div>
            <Bone height={16} width="60%" />
            <Bone height={56} />
          </div>
        ))}
      </div>
    </div>
  );
}

/** The last 30 minutes of an app, moving as events arrive. */
export function LivePage({ session, onDisconnect }: PageProps) {
  const ends = readEnds(useAddress());
  const { live, heardAt, phase, error } = useLive(session, new URLSearchParams({ minutes: String(MINUTES), ...ends }).toString());
  const schema = useQuery({
    queryKey: ["schema", session.app],
    queryFn: ({ signal }) => ask<Schema>(session, "schema", undefined, signal),
    staleTime: 60_000,
    placeholderData: keepPreviousData,
    enabled: phase !== "refused",
  });
  const names = (schema.data?.events ?? []).map((event) => ({ value: event.name, label: event.name, hint: shortNumber(event.events) }));
  const onEnds = (changed: Ends) => {
    goTo(`/?${new URLSearchParams({ ...changed }).toString()}`);
  };
  const refused = phase === "refused" && error !== null;
  const empty = live !== null && live.top_events.length === 0;
  return (
    <Page title="Live" about={`Last ${MINUTES} minutes`} end={<LiveDot phase={phase} heardAt={heardAt} />}>
      {refused && <Failure error={error} onDisconnect={onDisconnect} />}
      {!refused && live === null && error !== null && <Failure error={error} note="It is asked again every few seconds, until it answers." onDisconnect={onDisconnect} />}
      {live === null && error === null && <LiveBones />}
      {!refused && live !== null && <Figures stale={phase === "stale"} live={live} conversionNote={<ConversionNote live={live} ends={ends} names={names} onEnds={onEnds} />} />}
      {!refused && empty && (
        <Message title="No events in the last 30 minutes">
          <p className="quiet">This page counts what arrives, within a second. Send an event with the app&rsquo;s write key and watch it come in:</p>
          <Snippet text={sendCommand(window.location.origin, EXAMPLE_EVENT)} label="A command that sends one event" />
        </Message>
      )}
      {!refused && live !== null && !empty && (
        <div className="columns">
          <RankedBars title="Top events" unit="Events" hint="No events yet" rows={live.top_events.map(({ event, events }) => ({ name: event, count: events }))} />
          <RankedBars
            title="Top pages"
            unit="Views"
            hint="No page views yet: send page_view events with a url"
            rows={live.top_pages.map(({ page, views }) => ({ name: page, count: views }))}
          />
        </div>
      )}
    </Page>
  );
}
