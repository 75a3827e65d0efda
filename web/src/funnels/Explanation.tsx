import { useQuery } from "@tanstack/react-query";

import { asApiError, ask } from "../api/client.ts";
import { momentLabel } from "../charts/time.ts";
import type { Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import type { PersonAnswer } from "./answer.ts";

/** Events shown of one person. */
const MAX_EVENTS = 30;

interface ExplanationProps {
  session: Session;
  /** What `/funnel` was asked, without what is about groups and time. */
  request: Record<string, unknown>;
  person: string;
  /** The events that were looked at are shown when somebody wants them. */
  folded?: boolean;
}

/** Events of a step that the person has, with the steps. */
function Looked({ answer }: { answer: PersonAnswer }) {
  return (
    <>
      <ol className="attempt">
        {answer.events.map(({ name, timestamp, steps = [] }, at) => (
          <li key={at}>
            <span className="cut" title={name}>
              {name}
              {steps.length > 0 && <span className="quiet"> step {steps.join(", ")}</span>}
            </span>
            <span className="quiet tabular">{momentLabel(timestamp)}</span>
          </li>
        ))}
      </ol>
      {answer.more_events && <p className="quiet">The first {MAX_EVENTS} of them.</p>}
      {answer.events.length === 0 && <p className="quiet">None is of a step.</p>}
    </>
  );
}

/** Why the funnel counts a person as it does. */
export function Explanation({ session, request, person, folded = false }: ExplanationProps) {
  const body = { ...request, person, limit: MAX_EVENTS };
  const { data, error } = useQuery({ queryKey: ["funnel/person", session.app, JSON.stringify(body)], queryFn: ({ signal }) => ask<PersonAnswer>(session, "funnel/person", body, signal) });
  if (error !== null) return <p className="problem small">{asApiError(error).message}</p>;
  if (data === undefined) return <Bone height={80} />;
  return (
    <div className="explanation small">
      <p className="rule">{data.stopped.words}.</p>
      {data.attempt !== null && (
        <ol className="attempt" aria-label="The attempt shown">
          {data.attempt.map(({ step, time }, at) => (
            <li key={at} data-done={time !== null}>
              <span className="cut" title={step}>
                {at + 1}. {step}
              </span>
              <span className="quiet tabular">{time === null ? "not reached" : momentLabel(time)}</span>
            </li>
          ))}
        </ol>
      )}
      {folded ? (
        <details className="disclosure">
          <summary>Events that were looked at</summary>
          <Looked answer={data} />
        </details>
      ) : (
        <>
          <h3>Events that were looked at</h3>
          <Looked answer={data} />
        </>
      )}
    </div>
  );
}
