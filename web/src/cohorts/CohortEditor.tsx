import { Button, TextInput } from "@mantine/core";
import { type SyntheticEvent, useMemo, useState } from "react";

import type { Cohort } from "../api/types.ts";
import type { TypesOf } from "../builder/conditions.ts";
import { useAnswer } from "../builder/useAnswer.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import { requestOnceKnown } from "../builder/vocabulary.ts";
import type { Session } from "../session.ts";
import { AdminKey } from "./AdminKey.tsx";
import { GroupEditor } from "./RuleEditor.tsx";
import { type Preview, PreviewSize } from "./PreviewSize.tsx";
import { rootFrom } from "./readRule.ts";
import { type GroupRule, START, ruleInWords, ruleRequest } from "./rule.ts";
import type { Change, Changes } from "./useChange.ts";
import type { SizedCohort } from "./useCohort.ts";
import { MAX_PERSONS, type View, personsIn } from "./view.ts";
import { ruleWords } from "./words.ts";

type EditView = Extract<View, { show: "edit" }>;

interface CohortEditorProps {
  session: Session;
  view: EditView;
  /** The cohort that is changed; nothing for a new one. */
  saved: SizedCohort | undefined;
  cohorts: readonly Cohort[];
  changes: Changes;
  onView: (view: View) => void;
}

/** The ids of a list as text, one a line. */
function personsOf(saved: SizedCohort | undefined): string {
  const { rule } = saved ?? {};
  const ids = typeof rule === "object" && rule !== null && "persons" in rule ? rule.persons : [];
  return Array.isArray(ids) ? ids.filter((id) => typeof id === "string").join("\n") : "";
}

function ListEditor({ text, onChange }: { text: string; onChange: (text: string) => void }) {
  const count = personsIn(text).length;
  return (
    <label className="id-list">
      <span>Ids of persons</span>
      <textarea
        rows={10}
        spellCheck={false}
        value={text}
        placeholder={"user-1\nuser-2"}
        aria-describedby="id-list-about"
        onChange={(event) => {
          onChange(event.currentTarget.value);
        }}
      />
      <span id="id-list-about" className="small quiet tabular">
        One a line, or separated by commas; {count.toLocaleString("en-US")} of at most {MAX_PERSONS.toLocaleString("en-US")}.
      </span>
    </label>
  );
}

/** What is saved: a new cohort, or another version of one. */
function changeOf(saved: SizedCohort | undefined, version: number | null, name: string, members: { rule: unknown } | { persons: string[] }): Change {
  if (saved === undefined) return { what: "create", body: { name, ...members } };
  return { what: "replace", id: saved.id, body: { name, version: version ?? saved.version, ...members } };
}

/** A rule, or a list of ids, with a name, and how many that is while one edits. */
export function CohortEditor({ session, view, saved, cohorts, changes, onView }: CohortEditorProps) {
  const vocabulary = useVocabulary(session);
  const words = useMemo(() => ruleWords(vocabulary, cohorts, view.id), [vocabulary, cohorts, view.id]);
  const isList = saved === undefined ? view.form === "list" : saved.kind === "static";
  const name = view.name ?? saved?.name ?? "";
  const rule: GroupRule = view.rule ?? (saved === undefined ? START : rootFrom(saved.rule));
  const [ids, setIds] = useState(() => personsOf(saved));
  // Whoever changed the cohort since then is not overwritten.
  const [begunFrom] = useState(saved?.version ?? null);
  const version = view.version ?? begunFrom;
  const persons = personsIn(ids);
  // A rule that nobody changed stays as it was written.
  const ruleOnce = (typesOf: TypesOf) => (view.rule === null && saved !== undefined ? saved.rule : ruleRequest(rule, typesOf));
  const listed = persons.length === 0 || persons.length > MAX_PERSONS ? undefined : { persons };
  const asRule = ruleOnce(vocabulary.typesOf);
  const segment = isList ? listed : asRule;
  const request = segment === undefined ? null : requestOnceKnown(vocabulary, (typesOf) => ({ segment: isList ? listed : ruleOnce(typesOf), limit: 0 }));
  const preview = useAnswer<Preview>(session, "cohorts/preview", request);
  const nameOf = (id: string) => cohorts.find((cohort) => cohort.id === id)?.name ?? id;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const done = (id: string) => {
      onView({ show: "one", id });
    };
    if (segment !== undefined) changes.make(changeOf(saved, version, name.trim(), isList ? { persons } : { rule: asRule }), done);
  };
  return (
    <form className="panel cohort-editor" aria-label={saved === undefined ? "New cohort" : `Edit ${saved.name}`} onSubmit={submit}>
      <TextInput
        label="Name"
        required
        withAsterisk={false}
        maxLength={100}
        value={name}
        onChange={(event) => {
          onView({ ...view, version, name: event.currentTarget.value });
        }}
      />
      {isList ? (
        <ListEditor text={ids} onChange={setIds} />
      ) : (
        <GroupEditor
          rule={rule}
          words={words}
          onChange={(changed) => {
            onView({ ...view, version, rule: changed });
          }}
        />
      )}
      {!isList && asRule !== undefined && <p className="small quiet rule">Who {ruleInWords(rule, nameOf)}.</p>}
      <PreviewSize asked={preview} given={isList ? persons.length : null} ready={segment !== undefined} />
      <AdminKey session={session} changes={changes} />
      <div className="buttons">
        <Button type="submit" size="xs" loading={changes.busy} disabled={request === null}>
          Save
        </Button>
        <Button
          variant="default"
          size="xs"
          onClick={() => {
            onView(saved === undefined ? { show: "list" } : { show: "one", id: saved.id });
          }}
        >
          Cancel
        </Button>
      </div>
    </form>
  );
}
