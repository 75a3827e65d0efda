import { timeLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import { PersonList } from "../people/PersonList.tsx";
import { SaveCohort } from "../people/SaveCohort.tsx";
import { usePages } from "../people/usePages.ts";
import type { Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Drawer } from "../ui/Drawer.tsx";
import { Failure } from "../ui/Failure.tsx";
import type { RetentionAnswer } from "./answer.ts";
import { inPeriod } from "./curve.ts";
import type { Shown } from "./retention.ts";

interface PeopleProps {
  session: Session;
  answer: RetentionAnswer;
  shown: Shown;
  /** Who is in the cell, as a rule of cohorts. */
  rule: unknown;
  onClose: () => void;
  onDisconnect: () => void;
}

/** Who is in a cell of the table, and the rule for it as a cohort. */
export function People({ session, answer, shown, rule, onClose, onDisconnect }: PeopleProps) {
  const pages = usePages<{ person: string }>(session, "cohorts/preview", { segment: rule });
  const { period } = answer.semantics;
  const time = timeLabel(answer.retention[shown.cohort]?.time ?? "", period, true);
  const title = shown.period === null ? `Cohort of ${time}` : `Cohort of ${time}, back ${inPeriod(period, shown.period)}${answer.semantics.mode === "on_or_after" ? " or later" : ""}`;
  return (
    <Drawer title={title} onClose={onClose}>
      {pages.error !== null && <Failure error={pages.error} onRetry={pages.retry} onDisconnect={onDisconnect} />}
      {pages.count === null && pages.error === null && <Bone height={320} />}
      {pages.count !== null && (
        <>
          <p className="quiet tabular">{pages.count === 1 ? "1 person" : `${fullNumber(pages.count)} persons`}, in no order.</p>
          <SaveCohort session={session} name={title.slice(0, 100)} about="As a rule that is evaluated whenever it is asked about: who comes back late is in it too." members={() => ({ rule })} />
          <PersonList persons={pages.persons} idOf={({ person }) => person} hasMore={pages.hasMore} loading={pages.loading} onMore={pages.more} />
        </>
      )}
    </Drawer>
  );
}
