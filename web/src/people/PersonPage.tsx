import { Button } from "@mantine/core";

import { asApiError } from "../api/client.ts";
import { timeLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import type { PageProps } from "../session.ts";
import type { SqlAnswer } from "../sql/answer.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { DeletePerson } from "./DeletePerson.tsx";
import { PersonSide } from "./PersonSide.tsx";
import { Timeline } from "./Timeline.tsx";
import { type About, aboutOf, aboutStatement, sessionsOf, sessionsStatement } from "./statements.ts";
import { useAsk } from "./useAsk.ts";
import { type View, originName } from "./view.ts";

export type PersonView = Extract<View, { show: "person" }>;

export interface PersonProps extends PageProps {
  view: PersonView;
  onView: (view: View, replace?: boolean) => void;
}

function Back({ from }: { from: string | null }) {
  return (
    <Link className="link small person-back" href={from ?? "/people"}>
      {from === null ? "All people" : `Back to ${originName(from)}`}
    </Link>
  );
}

function Figure({ name, value }: { name: string; value: string | null }) {
  return (
    <div>
      <span className="tally-name small">{name}</span>
      <strong className="tabular" data-figure={name}>
        {value ?? <Bone height={24} width={72} />}
      </strong>
    </div>
  );
}

function Figures({ about, sessions }: { about: About | undefined; sessions: string | null }) {
  const moment = (time: string | null | undefined) => (about === undefined ? null : timeLabel(time ?? "", "minute", true));
  return (
    <div className="panel tally person-figures">
      <Figure name="Events" value={about === undefined ? null : fullNumber(about.events)} />
      <Figure name="Sessions" value={sessions} />
      <Figure name="First seen" value={moment(about?.firstSeen)} />
      <Figure name="Last seen" value={moment(about?.lastSeen)} />
    </div>
  );
}

function Unknown({ id }: { id: string }) {
  return (
    <Message title="Nobody has this id now">
      <p className="quiet">
        No stored event is of <strong className="any-text">{id}</strong>: it is written differently, its events have passed their retention, or the person was deleted.
      </p>
      <Link className="link" href="/people">
        Search for somebody
      </Link>
    </Message>
  );
}

/** Everything about the person whom this id stands for. */
function Known({ person, ...props }: PersonProps & { person: string }) {
  const { session, view, onView, onDisconnect } = props;
  const asked = useAsk<SqlAnswer>(session, "sql", { sql: aboutStatement(person) });
  const askedSessions = useAsk<SqlAnswer>(session, "sql", { sql: sessionsStatement(person) });
  const about = asked.data === undefined ? undefined : aboutOf(asked.data);
  const known = askedSessions.data === undefined ? null : sessionsOf(askedSessions.data);
  return (
    <>
      <header className="person-name">
        <div>
          <h2 className="any-text">{person}</h2>
          {person !== view.id && <p className="small quiet any-text">{view.id} is an id of this person.</p>}
        </div>
        <Button
          variant="default"
          size="xs"
          onClick={() => {
            onView({ ...view, beside: "delete" });
          }}
        >
          Delete this person
        </Button>
      </header>
      {asked.error === null ? <Figures about={about} sessions={known === null ? (askedSessions.error === null ? null : "–") : fullNumber(known.count)} /> : <Failure error={asApiError(asked.error)} onRetry={() => void asked.refetch()} onDisconnect={onDisconnect} />}
      {about?.cut === true && <p className="small facts-warning">This person has more names of events and ids than are read: numbers here are of the most frequent.</p>}
      {asked.data?.complete === false && <p className="small facts-warning">Incomplete: {(asked.data.missing ?? []).join("; ")}</p>}
      <div className="person">
        <Timeline key={view.event} {...props} person={person} names={about?.names} sessions={known?.sessions ?? null} sessionsFailed={askedSessions.error !== null} />
        <PersonSide {...props} person={person} about={about} />
      </div>
      {view.beside === "delete" && (
        <DeletePerson
          session={session}
          person={person}
          about={about}
          onDone={(deletion) => {
            onView({ show: "deletion", id: deletion }, true);
          }}
          onClose={() => {
            onView({ ...view, beside: null });
          }}
        />
      )}
    </>
  );
}

/** One person, under any of their ids. */
export function PersonPage(props: PersonProps) {
  const { session, view, onDisconnect } = props;
  const { data, error, refetch } = useAsk<{ persons: { person: string }[] }>(session, "cohorts/preview", { segment: { persons: [view.id] }, limit: 1 });
  const person = data?.persons[0]?.person;
  return (
    <>
      <Back from={view.from} />
      {error !== null && <Failure error={asApiError(error)} onRetry={() => void refetch()} onDisconnect={onDisconnect} />}
      {error === null && data === undefined && (
        <div aria-busy="true" aria-label="Loading" role="status">
          <Bone height={420} />
        </div>
      )}
      {data !== undefined && (person === undefined ? <Unknown id={view.id} /> : <Known {...props} person={person} />)}
    </>
  );
}
