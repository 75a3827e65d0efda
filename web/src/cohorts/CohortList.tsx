import type { Cohort } from "../api/types.ts";
import { fullNumber, shortNumber } from "../format.ts";
import type { Session } from "../session.ts";
import { Link } from "../ui/Link.tsx";
import { useCohort } from "./useCohort.ts";
import { useInView } from "./useInView.ts";
import { writeView } from "./view.ts";

/** A size is asked for when its row is looked at: an app may have a thousand cohorts. */
function Row({ session, cohort, current }: { session: Session; cohort: Cohort; current: boolean }) {
  const [row, seen] = useInView<HTMLLIElement>();
  const { cohort: sized, error } = useCohort(session, seen ? cohort.id : null);
  const size = sized === undefined ? (error === null ? "" : "?") : shortNumber(sized.size);
  return (
    <li ref={row}>
      <Link href={`/cohorts${writeView({ show: "one", id: cohort.id })}`} aria-current={current ? "true" : undefined}>
        <span className="cut" title={cohort.name}>
          {cohort.name}
        </span>
        <span className="small quiet">{cohort.kind === "static" ? "list" : "rule"}</span>
        <span className="cohort-size tabular" title={sized === undefined ? error?.message : `${fullNumber(sized.size)} persons`}>
          {size}
        </span>
      </Link>
    </li>
  );
}

/** All cohorts by name, with how many are in each now. */
export function CohortList({ session, cohorts, current }: { session: Session; cohorts: readonly Cohort[]; current: string | null }) {
  return (
    <ul className="cohort-list" aria-label="Cohorts">
      {cohorts.map((cohort) => (
        <Row key={cohort.id} session={session} cohort={cohort} current={cohort.id === current} />
      ))}
    </ul>
  );
}
