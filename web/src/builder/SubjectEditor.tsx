import { type ReactNode, useState } from "react";

import { Picker } from "../ui/Picker.tsx";
import { Conditions } from "./Conditions.tsx";
import { More } from "./More.tsx";
import { Part } from "./Part.tsx";
import { NEW_CONDITION } from "./conditions.ts";
import { ANY_EVENT, type Subject } from "./subject.ts";
import type { Vocabulary } from "./vocabulary.ts";

interface SubjectEditorProps<S extends Subject> {
  /** What it is, for screen readers: `Step 1`. */
  name: string;
  subject: S;
  words: Vocabulary;
  onChange: (subject: S) => void;
  /** What else can be added, beside other events and conditions. */
  more?: ReactNode;
  /** It was just added: its event is picked first. */
  fresh?: boolean;
}

/** Names that stand for one another; one more has a picker of its own until it is picked. */
function Names<S extends Subject>({ name, subject, words, adding, fresh = false, onChange }: Omit<SubjectEditorProps<S>, "more"> & { adding: boolean }) {
  const { events } = subject;
  const shown: (string | null)[] = events.length === 0 || adding ? [...events, null] : events;
  const choicesFor = (event: string | null) => [...(shown.length < 2 ? [{ value: ANY_EVENT, label: "any event" }] : []), ...words.events.filter((choice) => choice.value === event || !events.includes(choice.value))];
  const set = (changed: string[]) => {
    onChange({ ...subject, events: [...new Set(changed)] });
  };
  return shown.map((event, at) => (
    <Part
      key={at}
      removal={`${name}: without ${event ?? "another event"}`}
      {...(events.length > 1 &&
        event !== null && {
          onRemove: () => {
            set(events.filter((other) => other !== event));
          },
        })}
    >
      {at > 0 && <span className="quiet">or</span>}
      <Picker
        label={at === 0 ? name : `${name}, or`}
        placeholder={at === 0 ? "an event" : "another event"}
        choices={choicesFor(event)}
        free
        missing={event === null}
        opens={event === null && (adding || fresh)}
        value={event}
        onChange={(picked) => {
          set(picked === ANY_EVENT ? [ANY_EVENT] : shown.flatMap((other, place) => (place === at ? [picked] : (other ?? []))));
        }}
      />
    </Part>
  ));
}

/** Which events are meant, as pickers: any of some names, where conditions hold. */
export function SubjectEditor<S extends Subject>({ name, subject, words, onChange, more, fresh = false }: SubjectEditorProps<S>) {
  const [adding, setAdding] = useState(false);
  const named = subject.events.length > 0 && subject.events[0] !== ANY_EVENT;
  const set = (changed: S) => {
    setAdding(false);
    onChange(changed);
  };
  return (
    <>
      <Names name={name} subject={subject} words={words} adding={adding && named} fresh={fresh} onChange={set} />
      <Conditions
        conditions={subject.conditions}
        words={words}
        onChange={(conditions) => {
          onChange({ ...subject, conditions });
        }}
      />
      {subject.events.length > 0 && (
        <span className="subject-more">
          {named && !adding && (
            <More
              label="or"
              about={`${name}: or another event`}
              onClick={() => {
                setAdding(true);
              }}
            />
          )}
          <More
            label="where"
            about={`${name}: where a condition holds`}
            onClick={() => {
              onChange({ ...subject, conditions: [...subject.conditions, NEW_CONDITION] });
            }}
          />
          {more}
        </span>
      )}
    </>
  );
}
