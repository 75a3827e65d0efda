import { useMemo } from "react";

import { asApiError } from "../api/client.ts";
import type { Cohort } from "../api/types.ts";
import { useCohorts } from "../builder/useVocabulary.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { CohortDetail } from "./CohortDetail.tsx";
import { CohortEditor } from "./CohortEditor.tsx";
import { CohortList } from "./CohortList.tsx";
import { type Changes, useChange } from "./useChange.ts";
import { useCohort } from "./useCohort.ts";
import { type View, readView, writeView, UNCHANGED } from "./view.ts";

const NEW_RULE: View = { show: "edit", id: null, form: "rule", ...UNCHANGED };
const NEW_LIST: View = { ...NEW_RULE, form: "list" };

function Beginning({ empty }: { empty: boolean }) {
  return (
    <Message title={empty ? "No cohorts yet" : "Pick a cohort"}>
      <p className="quiet">A cohort is a set of persons under a name: who did or did not do something, who has a property, or whom you list. Every question can be asked about one, filtered by one, or split by one.</p>
      <Link className="link" href={`/cohorts${writeView(NEW_RULE)}`}>
        Make one with a rule
      </Link>
    </Message>
  );
}

interface ShownProps extends PageProps {
  view: View;
  cohorts: readonly Cohort[];
  changes: Changes;
  onView: (view: View) => void;
}

/** What the address names: a cohort, its editor, or neither. */
function Shown({ session, onDisconnect, view, cohorts, changes, onView }: ShownProps) {
  const id = view.show === "list" ? null : view.id;
  const { cohort, error, retry } = useCohort(session, id);
  if (view.show === "list") return <Beginning empty={cohorts.length === 0} />;
  if (id !== null && error !== null) return <Failure error={error} onRetry={retry} onDisconnect={onDisconnect} />;
  if (id !== null && cohort === undefined) {
    return (
      <div className="panel cohort-detail" aria-busy="true" aria-label="Loading">
        <Bone height={28} width="40%" />
        <Bone height={120} />
      </div>
    );
  }
  if (view.show === "edit") return <CohortEditor key={id} session={session} view={view} saved={id === null ? undefined : cohort} cohorts={cohorts} changes={changes} onView={onView} />;
  return (
    cohort !== undefined && (
      <CohortDetail
        key={cohort.id}
        session={session}
        onDisconnect={onDisconnect}
        cohort={cohort}
        cohorts={cohorts}
        changes={changes}
        onGone={() => {
          onView({ show: "list" });
        }}
      />
    )
  );
}

/** Saved sets of persons: all of them, and the one that is looked at or made. */
export default function CohortsPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const view = useMemo(() => readView(search), [search]);
  const { cohorts, known, error } = useCohorts(session);
  const changes = useChange(session);
  const onView = (changed: View) => {
    // Letters of a name and parts of a rule are no steps to go back by.
    goTo(`/cohorts${writeView(changed)}`, changed.show === "edit" && view.show === "edit");
  };
  return (
    <Page title="Cohorts" about="Saved sets of persons">
      {error !== null && <Failure error={asApiError(error)} onDisconnect={onDisconnect} />}
      {error === null && (
        <div className="cohorts" data-show={view.show}>
          <section className="panel cohort-side" aria-label="All cohorts">
            <header>
              <Link className="button-like" data-primary="true" href={`/cohorts${writeView(NEW_RULE)}`}>
                New rule
              </Link>
              <Link className="button-like" href={`/cohorts${writeView(NEW_LIST)}`}>
                New list
              </Link>
            </header>
            {known ? <CohortList session={session} cohorts={cohorts} current={view.show === "list" ? null : view.id} /> : <Bone height={160} />}
            {known && cohorts.length === 0 && <p className="small quiet">No cohorts yet.</p>}
          </section>
          <div className="cohort-main">
            <Link className="link cohort-back small" href="/cohorts">
              All cohorts
            </Link>
            {known && <Shown session={session} onDisconnect={onDisconnect} view={view} cohorts={cohorts} changes={changes} onView={onView} />}
          </div>
        </div>
      )}
    </Page>
  );
}
