import type { SchemaEvent, SchemaProperty } from "../api/types.ts";
import { Answered } from "../builder/Answered.tsx";
import { written } from "../builder/vocabulary.ts";
import { momentLabel } from "../charts/time.ts";
import { START as EXPLORE, writeQuestion } from "../explore/question.ts";
import { fullNumber, valueLabel } from "../format.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Drawer } from "../ui/Drawer.tsx";
import { Link } from "../ui/Link.tsx";
import { exploreEvent } from "./EventList.tsx";
import { Samples, Types } from "./PropertyList.tsx";
import { partOf } from "./ledger.ts";
import { seenProperties } from "./names.ts";
import { usePolled } from "./usePolled.ts";

/** Events that are read to tell what properties a name has. */
const NEWEST = 200;

interface EventsAnswer {
  events: { properties: Record<string, unknown> }[];
}

function Seen({ events }: { events: EventsAnswer["events"] }) {
  const properties = seenProperties(events);
  if (properties.length === 0) return <p className="quiet">{events.length === 0 ? "No such event is stored." : "Its newest events have no properties."}</p>;
  return (
    <>
      <h3>Properties of the {events.length === 1 ? "only event" : `newest ${fullNumber(events.length)}`}</h3>
      <ul className="data-seen tabular">
        {properties.map(({ name, events: count, types, samples }) => (
          <li key={name}>
            <span className="data-seen-name">
              <strong className="cut" title={name}>
                {valueLabel(name)}
              </strong>
              <span className="quiet small" title={`${fullNumber(count)} of ${fullNumber(events.length)}`}>
                {partOf(count, events.length)}
              </span>
            </span>
            <span className="small quiet">
              <Types types={types} />
            </span>
            <span className="data-seen-samples">
              <Samples values={samples} />
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

interface EventDetailsProps extends PageProps {
  name: string;
  range: string;
  known: SchemaEvent | undefined;
  onClose: () => void;
}

const hour = (time: string | undefined) => (time === undefined ? "–" : momentLabel(time).replace(/:\d\d$/, ""));

/** One name: since when, until when, and what its newest events carry. */
export function EventDetails({ session, onDisconnect, name, range, known, onClose }: EventDetailsProps) {
  const asked = usePolled<EventsAnswer>(session, { call: "events", body: { event: name, limit: NEWEST, range: "all" }, everyMs: 60_000 });
  return (
    <Drawer title={valueLabel(name)} onClose={onClose}>
      <div className="data-details">
        {known !== undefined && (
          <dl className="data-facts tabular">
            <dt>Stored</dt>
            <dd>{fullNumber(known.events)} events</dd>
            <dt>First hour</dt>
            <dd>{hour(known.first_hour)}</dd>
            <dt>Last hour</dt>
            <dd>{hour(known.last_hour)}</dd>
          </dl>
        )}
        <Link href={exploreEvent(name, range)} className="link">
          Open in Explore
        </Link>
        <Answered asked={asked} missing={null} bones={<Bone height={200} />} onDisconnect={onDisconnect}>
          {({ events }) => <Seen events={events} />}
        </Answered>
      </div>
    </Drawer>
  );
}

/** One property: its types and all samples that the server keeps. */
export function PropertyDetails({ property, onClose }: { property: SchemaProperty; onClose: () => void }) {
  const { name, types, events, sample_values } = property;
  return (
    <Drawer title={valueLabel(name)} onClose={onClose}>
      <div className="data-details">
        <dl className="data-facts tabular">
          <dt>In</dt>
          <dd>{fullNumber(events)} events</dd>
          <dt>Types</dt>
          <dd>
            <Types types={types} />
          </dd>
        </dl>
        <Link href={`/explore${writeQuestion({ ...EXPLORE, measure: "events", groupBy: [written(name)] })}`} className="link">
          Open in Explore
        </Link>
        <h3>Samples</h3>
        <span className="data-seen-samples">
          <Samples values={sample_values} />
        </span>
      </div>
    </Drawer>
  );
}
