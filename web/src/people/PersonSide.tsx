import type { ReactNode } from "react";

import { asApiError } from "../api/client.ts";
import { fullNumber, shortNumber } from "../format.ts";
import { Bone } from "../ui/Bone.tsx";
import { Link } from "../ui/Link.tsx";
import { FunnelReason } from "./FunnelReason.tsx";
import { InCohorts } from "./InCohorts.tsx";
import type { PersonProps } from "./PersonPage.tsx";
import { SETTING, type Shown, contextOf, userProperties } from "./properties.ts";
import type { About, KnownId } from "./statements.ts";
import type { RawEvent } from "./timeline.ts";
import { useAsk } from "./useAsk.ts";
import { PAGE, funnelOf, writeView } from "./view.ts";

/** Ids and properties that the side shows. */
const MAX_LISTED = 100;

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="panel person-part" aria-label={title}>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Ids({ about }: { about: About | undefined }) {
  if (about === undefined) return <Bone height={48} />;
  const idHint = ({ kind, events }: KnownId) => (events === 0 ? "device" : `${kind === "user" ? "user" : "anonymous"} · ${shortNumber(events)}`);
  const beside = about.ids.some(({ events }) => events === 0);
  return (
    <>
      <ul className="person-ids">
        {about.ids.slice(0, MAX_LISTED).map((known) => (
          <li key={known.id}>
            <span className="any-text">{known.id}</span>
            <span className="small quiet tabular" title={`${fullNumber(known.events)} events`}>
              {idHint(known)}
            </span>
          </li>
        ))}
      </ul>
      {about.ids.length > MAX_LISTED && <p className="small quiet">The {MAX_LISTED} with most events of {fullNumber(about.ids.length)}.</p>}
      {beside && <p className="small quiet">A device was only seen beside a user id; somebody else may have used it first.</p>}
    </>
  );
}

function Values({ values }: { values: readonly Shown[] }) {
  return (
    <dl className="person-values">
      {values.slice(0, MAX_LISTED).map(({ name, value }) => (
        <div key={name}>
          <dt className="quiet any-text">{name}</dt>
          <dd className="any-text">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface PropertiesProps extends Pick<PersonProps, "session"> {
  request: Record<string, unknown>;
  read: (events: readonly RawEvent[]) => Shown[];
  none: string;
  /** Said where there are older events that were not looked at. */
  bound: string;
}

/** Properties as the newest events of a kind tell them. */
function Properties({ session, request, read, none, bound }: PropertiesProps) {
  const { data, error } = useAsk<{ events: RawEvent[]; next_cursor: string | null }>(session, "events", { ...request, limit: PAGE });
  if (error !== null) return <p className="problem small">{asApiError(error).message}</p>;
  if (data === undefined) return <Bone height={72} />;
  const values = read(data.events);
  return (
    <>
      {values.length === 0 ? <p className="small quiet">{none}</p> : <Values values={values} />}
      {values.length > MAX_LISTED && <p className="small quiet">The first {MAX_LISTED} by name.</p>}
      {data.next_cursor !== null && <p className="small quiet">{bound}</p>}
    </>
  );
}

/** What is known of a person beside what they did. */
export function PersonSide(props: PersonProps & { person: string; about: About | undefined }) {
  const { session, view, person, about } = props;
  const segment = { persons: [person] };
  const funnel = funnelOf(view.from);
  return (
    <aside className="person-side" aria-label="About this person">
      {funnel !== null && (
        <Part title="In the funnel">
          <FunnelReason session={session} person={person} search={funnel} />
        </Part>
      )}
      <Part title="Ids">
        <Ids about={about} />
      </Part>
      <Part title="Properties">
        <Properties session={session} request={{ segment, events: SETTING }} read={userProperties} none="None were set, by $identify or $set." bound={`From the newest ${PAGE} events that set properties.`} />
      </Part>
      <Part title="Seen last with">
        <Properties session={session} request={{ segment }} read={contextOf} none="No event tells a country, a device or the like." bound={`From the newest ${PAGE} events.`} />
      </Part>
      <Part title="Cohorts">
        {view.beside === "cohorts" ? (
          <InCohorts session={session} person={person} />
        ) : (
          <Link className="link small" href={`/people${writeView({ ...view, beside: "cohorts" })}`}>
            Look which ones this person is in
          </Link>
        )}
      </Part>
    </aside>
  );
}
