import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { asApiError, ask } from "../api/client.ts";
import type { Cohort, QueryAnswer } from "../api/types.ts";
import { useCohorts } from "../builder/useVocabulary.ts";
import { writeView } from "../cohorts/view.ts";
import { fullNumber } from "../format.ts";
import type { Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Link } from "../ui/Link.tsx";
import { COHORTS_SHOWN, cohortsIn, inRequests, membershipRequest } from "./membership.ts";

/** Asks one request after the other: each evaluates the rules of its cohorts over everybody. */
function useMembership(session: Session, person: string, cohorts: readonly Cohort[]) {
  return useQuery({
    queryKey: ["cohorts of a person", session.app, session.key, person, cohorts.map(({ id, version }) => `${id} ${version}`)],
    queryFn: async ({ signal }) => {
      const found: Cohort[] = [];
      for (const some of inRequests(cohorts)) found.push(...cohortsIn(await ask<QueryAnswer>(session, "query", membershipRequest(person, some), signal), some));
      return found;
    },
    enabled: cohorts.length > 0,
    staleTime: 30_000,
  });
}

/** Which of the app's cohorts a person is in now. */
export function InCohorts({ session, person }: { session: Session; person: string }) {
  const { cohorts, known, error: unlisted } = useCohorts(session);
  const [looked, setLooked] = useState(COHORTS_SHOWN);
  const some = cohorts.slice(0, looked);
  const { data, error, refetch } = useMembership(session, person, some);
  const problem = error ?? unlisted;
  if (problem !== null) {
    return (
      <>
        <p className="problem small" role="alert">
          {asApiError(problem).message}
        </p>
        {error !== null && (
          <Button variant="default" size="compact-xs" onClick={() => void refetch()}>
            Try again
          </Button>
        )}
      </>
    );
  }
  if (known && cohorts.length === 0) return <p className="small quiet">This app has no cohorts.</p>;
  if (data === undefined) return <Bone height={48} />;
  return (
    <>
      {data.length === 0 && <p className="small quiet">In none of {fullNumber(some.length)}.</p>}
      <ul className="person-cohorts" aria-label="Cohorts of this person">
        {data.map(({ id, name }) => (
          <li key={id}>
            <Link className="link any-text" href={`/cohorts${writeView({ show: "one", id })}`}>
              {name}
            </Link>
          </li>
        ))}
      </ul>
      {some.length < cohorts.length && (
        <>
          <p className="small quiet">
            Of the first {fullNumber(some.length)} of {fullNumber(cohorts.length)}, by name.
          </p>
          <Button
            variant="default"
            size="compact-xs"
            onClick={() => {
              setLooked(looked + COHORTS_SHOWN);
            }}
          >
            Look at more
          </Button>
        </>
      )}
    </>
  );
}
