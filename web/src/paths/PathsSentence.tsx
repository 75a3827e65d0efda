import { Conditions } from "../builder/Conditions.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { NEW_CONDITION } from "../builder/conditions.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { valueLabel } from "../format.ts";
import { type Choice, ManyPicker, Picker } from "../ui/Picker.tsx";
import { ANCHORS, BY_EVENT, GAPS, MAX_WITHOUT, OCCURRENCES, type PathsQuestion, STEPS } from "./question.ts";

interface SentenceProps {
  question: PathsQuestion;
  words: Vocabulary;
  onChange: (question: PathsQuestion) => void;
}

const ANY_EVENT: Choice = { value: "", label: "any event" };

/** Where paths hang. */
function Anchor({ question, words, onChange }: SentenceProps) {
  const { anchor, event, value, occurrence, by } = question;
  return (
    <Part>
      <Picker
        label="Paths"
        choices={ANCHORS}
        value={anchor}
        onChange={(picked) => {
          const kept = picked === "session" ? { event: "", value: undefined, occurrence: "first" } : {};
          onChange({ ...question, ...kept, anchor: picked === "start" || picked === "end" ? picked : "session" });
        }}
      />
      {anchor !== "session" && (
        <Picker
          label="Event of the path"
          choices={[ANY_EVENT, ...words.events]}
          free
          value={event}
          onChange={(picked) => {
            onChange({ ...question, event: picked });
          }}
        />
      )}
      {anchor !== "session" && value !== undefined && (
        <Part
          removal={`Not only ${valueLabel(value)}`}
          onRemove={() => {
            onChange({ ...question, value: undefined });
          }}
        >
          <span className="quiet cut">
            with {by} {valueLabel(value)}
          </span>
        </Part>
      )}
      {anchor !== "session" && (
        <Picker
          label="Which of a session"
          choices={OCCURRENCES}
          value={occurrence}
          onChange={(picked) => {
            onChange({ ...question, occurrence: picked });
          }}
        />
      )}
    </Part>
  );
}

/** What a step is, and how many there are. */
function Steps({ question, words, onChange }: SentenceProps) {
  const { steps, by, gap } = question;
  return (
    <Part>
      <span className="quiet">over</span>
      <Picker
        label="Steps"
        choices={STEPS}
        value={String(steps)}
        onChange={(picked) => {
          onChange({ ...question, steps: Number(picked) });
        }}
      />
      <span className="quiet">named by</span>
      <Picker
        label="Steps are named by"
        choices={[{ value: BY_EVENT, label: "event" }, ...words.properties]}
        free
        value={by}
        onChange={(picked) => {
          // A name of a step is a value of what steps are named by.
          onChange({ ...question, by: picked, value: picked === by ? question.value : undefined });
        }}
      />
      <Picker
        label="Pauses"
        choices={GAPS}
        value={gap}
        onChange={(picked) => {
          onChange({ ...question, gap: picked });
        }}
      />
    </Part>
  );
}

/** Which events are steps. */
function Events({ question, words, onChange }: SentenceProps) {
  const { only, without } = question;
  return (
    <>
      {only.length > 0 && (
        <Part
          removal="Take all events as steps"
          onRemove={() => {
            onChange({ ...question, only: [] });
          }}
        >
          <span className="quiet">through only</span>
          <ManyPicker
            label="Only these events"
            choices={words.events}
            free
            values={only}
            onChange={(picked) => {
              onChange({ ...question, only: picked });
            }}
          />
        </Part>
      )}
      {without.length > 0 && (
        <Part
          removal="Leave out no event"
          onRemove={() => {
            onChange({ ...question, without: [] });
          }}
        >
          <span className="quiet">without</span>
          <ManyPicker
            label="Without these events"
            choices={words.events}
            free
            values={without}
            onChange={(picked) => {
              onChange({ ...question, without: picked.slice(0, MAX_WITHOUT) });
            }}
          />
        </Part>
      )}
    </>
  );
}

/** Parts that can be added, and the two ways to count. */
function Additions({ question, words, onChange }: SentenceProps) {
  const { conditions, only, without, collapse, full } = question;
  const first = words.events[0]?.value;
  return (
    <div className="sentence-more">
      <More
        label="Condition"
        onClick={() => {
          onChange({ ...question, conditions: [...conditions, NEW_CONDITION] });
        }}
      />
      {only.length === 0 && first !== undefined && (
        <More
          label="Only some events"
          onClick={() => {
            onChange({ ...question, only: [first] });
          }}
        />
      )}
      {without.length === 0 && first !== undefined && (
        <More
          label="Leave out events"
          onClick={() => {
            onChange({ ...question, without: [words.events.at(-1)?.value ?? first] });
          }}
        />
      )}
      <label className="check small">
        <input
          type="checkbox"
          checked={collapse}
          onChange={(event) => {
            onChange({ ...question, collapse: event.currentTarget.checked });
          }}
        />
        Repeats are one step
      </label>
      <label className="check small">
        <input
          type="checkbox"
          checked={full}
          onChange={(event) => {
            onChange({ ...question, full: event.currentTarget.checked });
          }}
        />
        Whole paths only
      </label>
    </div>
  );
}

/** The question as a sentence whose parts are pickers. */
export function PathsSentence(props: SentenceProps) {
  const { question, words, onChange } = props;
  return (
    <section className="panel sentence" aria-label="Question">
      <div className="sentence-text">
        <span className="quiet">Paths</span>
        <Anchor {...props} />
        <Steps {...props} />
        <Events {...props} />
        <Conditions
          conditions={question.conditions}
          words={words}
          onChange={(conditions) => {
            onChange({ ...question, conditions });
          }}
        />
        <RangeEditor
          range={question.range}
          onChange={(range) => {
            onChange({ ...question, range });
          }}
        />
      </div>
      <Additions {...props} />
    </section>
  );
}
