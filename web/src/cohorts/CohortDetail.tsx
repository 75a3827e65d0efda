import { Button } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import type { Cohort } from "../api/types.ts";
import { timeLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import { PersonList } from "../people/PersonList.tsx";
import { usePages } from "../people/usePages.ts";
import type { PageProps, Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Link } from "../ui/Link.tsx";
import { AdminKey } from "./AdminKey.tsx";
import { rootFrom } from "./readRule.ts";
import { ruleInWords } from "./rule.ts";
import type { Changes } from "./useChange.ts";
import type { SizedCohort } from "./useCohort.ts";
import { writeView, UNCHANGED } from "./view.ts";

function Members({ session, id, onDisconnect }: PageProps & { id: string }) {
  const pages = usePages<{ person: string }>(session, "cohorts/preview", { segment: id });
  return (
    <section className="panel cohort-members" aria-label="Who is in it">
      <h2>Who is in it</h2>
      {pages.error !== null && <Failure error={pages.error} onRetry={pages.retry} onDisconnect={onDisconnect} />}
      {pages.count === null && pages.error === null && <Bone height={160} />}
      {pages.count === 0 && <p className="quiet">Nobody now.</p>}
      {pages.count !== null && pages.count > 0 && <PersonList persons={pages.persons} idOf={({ person }) => person} hasMore={pages.hasMore} loading={pages.loading} onMore={pages.more} />}
    </section>
  );
}

/** Deleting takes a second step, and the key. */
function Deletion({ session, cohort, changes, onDone, onStay }: { session: Session; cohort: Cohort; changes: Changes; onDone: () => void; onStay: () => void }) {
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    changes.make({ what: "delete", id: cohort.id }, onDone);
  };
  return (
    <form className="cohort-deletion" aria-label={`Delete ${cohort.name}`} onSubmit={submit}>
      <p>
        Delete <strong>{cohort.name}</strong>? Saved questions that use it will no longer be answered. Events and persons stay.
      </p>
      <AdminKey session={session} changes={changes} />
      <div className="buttons">
        <Button type="submit" size="xs" color="red" loading={changes.busy}>
          Delete
        </Button>
        <Button variant="default" size="xs" onClick={onStay}>
          Keep it
        </Button>
      </div>
    </form>
  );
}

function ruleText(cohort: SizedCohort, cohorts: readonly Cohort[]): string {
  if (cohort.kind === "static") return "A list of ids.";
  return `Who ${ruleInWords(rootFrom(cohort.rule), (id) => cohorts.find((other) => other.id === id)?.name ?? id)}.`;
}

interface CohortDetailProps extends PageProps {
  cohort: SizedCohort;
  cohorts: readonly Cohort[];
  changes: Changes;
  onGone: () => void;
}

/** One cohort: who is meant, how many they are, and where to go with it. */
export function CohortDetail({ session, onDisconnect, cohort, cohorts, changes, onGone }: CohortDetailProps) {
  const [deleting, setDeleting] = useState(false);
  const field = `cohort:${cohort.id}`;
  const only = new URLSearchParams({ where: JSON.stringify([field, "in_cohort"]) }).toString();
  return (
    <>
      <section className="panel cohort-detail" aria-label={cohort.name}>
        <header>
          <h2 className="cut">{cohort.name}</h2>
          <Link className="button-like" href={`/cohorts${writeView({ show: "edit", id: cohort.id, form: "rule", ...UNCHANGED })}`}>
            Edit
          </Link>
          <Button
            variant="default"
            size="xs"
            onClick={() => {
              setDeleting(true);
            }}
          >
            Delete
          </Button>
        </header>
        <div className="preview-size">
          <strong className="tabular" data-figure="Size">
            {fullNumber(cohort.size)}
          </strong>
          <span className="quiet">{cohort.size === 1 ? "person now" : "persons now"}</span>
          {!cohort.complete && <span className="small facts-warning">Incomplete: {(cohort.missing ?? []).join("; ")}</span>}
        </div>
        <p>{ruleText(cohort, cohorts)}</p>
        <p className="small quiet">
          Id <code>{cohort.id}</code>, version {cohort.version}, changed {timeLabel(cohort.updated_at, "day", true)}. {cohort.kind === "dynamic" && "The rule is evaluated whenever the cohort is asked about."}
        </p>
        <nav className="cohort-uses small" aria-label="Use this cohort">
          <Link className="link" href={`/explore?${only}`}>
            Explore only these persons
          </Link>
          <Link className="link" href={`/explore?${new URLSearchParams({ by: field }).toString()}`}>
            Compare them with everybody else
          </Link>
          <Link className="link" href={`/paths?${only}`}>
            See their paths
          </Link>
        </nav>
        {deleting && (
          <Deletion
            session={session}
            cohort={cohort}
            changes={changes}
            onDone={onGone}
            onStay={() => {
              setDeleting(false);
              changes.forgetError();
            }}
          />
        )}
      </section>
      <Members session={session} id={cohort.id} onDisconnect={onDisconnect} />
    </>
  );
}
