import { Waiting } from "../builder/Facts.tsx";
import type { Asked } from "../builder/useAnswer.ts";
import { duration, fullNumber } from "../format.ts";

/** The answer of `/cohorts/preview`. */
export interface Preview {
  count: number;
  complete: boolean;
  missing?: string[];
  segment_events: number;
  query_time_ms: number;
}

interface PreviewSizeProps {
  asked: Asked<Preview>;
  /** How many ids a list has. */
  given: number | null;
  ready: boolean;
}

/** How many would be in it now, while one edits. */
export function PreviewSize({ asked, given, ready }: PreviewSizeProps) {
  const { answer, error } = asked;
  if (!ready) return <p className="quiet">{given === null ? "Finish a part to see how many that is." : "Paste ids to see how many of them have an event."}</p>;
  if (error !== null) {
    return (
      <p className="problem" role="alert">
        {error.message}
        {error.field !== undefined && (
          <>
            {" "}
            (in <code>{error.field}</code>)
          </>
        )}
      </p>
    );
  }
  if (answer === undefined) return <p className="quiet">Counting…</p>;
  return (
    <div className="preview-size" data-stale={asked.stale} role="status">
      <strong className="tabular" data-figure="Size">
        {fullNumber(answer.count)}
      </strong>
      <span className="quiet">{given === null ? (answer.count === 1 ? "person now" : "persons now") : `of ${fullNumber(given)} ids have a stored event`}</span>
      <span className="small quiet tabular">
        {fullNumber(answer.segment_events)} events read in {duration(answer.query_time_ms)}
      </span>
      {!answer.complete && <span className="small facts-warning">Incomplete: {(answer.missing ?? []).join("; ")}</span>}
      {asked.asking && <Waiting onCancel={asked.cancel} />}
    </div>
  );
}
