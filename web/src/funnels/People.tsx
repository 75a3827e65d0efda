import { momentLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import { PersonList } from "../people/PersonList.tsx";
import { SaveCohort } from "../people/SaveCohort.tsx";
import { allPersons, usePages } from "../people/usePages.ts";
import type { Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Drawer } from "../ui/Drawer.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Explanation } from "./Explanation.tsx";
import type { PersonRow } from "./answer.ts";
import type { Shown } from "./funnel.ts";

/** As many ids as a cohort takes. */
const MAX_COHORT = 10_000;

interface PeopleProps {
  session: Session;
  /** What `/funnel` was asked, without what is about groups and time. */
  request: Record<string, unknown>;
  shown: Shown;
  /** The step's name. */
  step: string;
  onClose: () => void;
  onDisconnect: () => void;
}

/** Who reached a step or was lost before it, each with the reason, and all of them as a cohort. */
export function People({ session, request, shown, step, onClose, onDisconnect }: PeopleProps) {
  const asked = { ...request, ...shown };
  const pages = usePages<PersonRow>(session, "funnel/persons", asked);
  const what = shown.outcome === "reached" ? `Reached ${step}` : `Lost before ${step}`;
  return (
    <Drawer title={what} onClose={onClose}>
      {pages.error !== null && <Failure error={pages.error} onRetry={pages.retry} onDisconnect={onDisconnect} />}
      {pages.count === null && pages.error === null && <Bone height={320} />}
      {pages.count !== null && (
        <>
          <p className="quiet tabular">{pages.count === 1 ? "1 person" : `${fullNumber(pages.count)} persons`}, in no order{request["counting"] === "totals" && ", by their attempt that goes furthest"}. Open one to see why it counts as it does.</p>
          {pages.count > MAX_COHORT && <p className="quiet small">More than the {fullNumber(MAX_COHORT)} that a cohort can list: a condition or a shorter range makes them fewer.</p>}
          {pages.count > 0 && pages.count <= MAX_COHORT && (
            <SaveCohort
              session={session}
              name={what.slice(0, 100)}
              about={`The ${fullNumber(pages.count)} of now, as a list: who does so later is not in it.`}
              members={async () => ({ persons: await allPersons(session, "funnel/persons", asked) })}
            />
          )}
          <PersonList
            persons={pages.persons}
            idOf={({ person }) => person}
            hint={(row) => momentLabel(row.last_step_at)}
            inside={({ person }) => <Explanation session={session} request={request} person={person} />}
            hasMore={pages.hasMore}
            loading={pages.loading}
            onMore={pages.more}
          />
        </>
      )}
    </Drawer>
  );
}
