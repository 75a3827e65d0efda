import { Conditions } from "../builder/Conditions.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { Split } from "../builder/Split.tsx";
import { NEW_CONDITION } from "../builder/conditions.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { Picker } from "../ui/Picker.tsx";
import { BOUNCE_EVENTS, BOUNCE_LENGTHS, IDLES, INTERVALS, type SessionsQuestion } from "./question.ts";

interface SentenceProps {
  question: SessionsQuestion;
  words: Vocabulary;
  onChange: (question: SessionsQuestion) => void;
}

/** What a session is, and when one counts as bounced. */
function Rules({ question, onChange }: Omit<SentenceProps, "words">) {
  return (
    <>
      <Part>
        <span className="quiet">cut at</span>
        <Picker
          label="Sessions end after"
          choices={IDLES}
          value={question.idle}
          onChange={(idle) => {
            onChange({ ...question, idle });
          }}
        />
      </Part>
      <Part>
        <span className="quiet">bounced with</span>
        <Picker
          label="Bounced with"
          choices={BOUNCE_EVENTS}
          value={question.bounceEvents}
          onChange={(bounceEvents) => {
            onChange({ ...question, bounceEvents });
          }}
        />
        <Picker
          label="Bounced within"
          choices={BOUNCE_LENGTHS}
          value={question.bounceLength}
          onChange={(bounceLength) => {
            onChange({ ...question, bounceLength });
          }}
        />
      </Part>
    </>
  );
}

/** The question as a sentence whose parts are pickers. */
export function SessionsSentence({ question, words, onChange }: SentenceProps) {
  const ofSessions = question.side === "sessions";
  const firstField = words.fields[0]?.value;
  return (
    <section className="panel sentence" aria-label="Question">
      <div className="sentence-text">
        <Part>
          <span className="quiet">{ofSessions ? "Sessions with" : "Persons active with"}</span>
          <Picker
            label="Event"
            choices={[{ value: "", label: "any event" }, ...words.events]}
            free
            value={question.event}
            onChange={(event) => {
              onChange({ ...question, event });
            }}
          />
        </Part>
        <Conditions
          conditions={question.conditions}
          words={words}
          onChange={(conditions) => {
            onChange({ ...question, conditions });
          }}
        />
        <Split
          property={question.by}
          words={words}
          onChange={(by) => {
            onChange({ ...question, by });
          }}
        />
        {ofSessions && (
          <Picker
            label="Interval"
            choices={INTERVALS}
            value={question.interval}
            onChange={(interval) => {
              onChange({ ...question, interval });
            }}
          />
        )}
        <RangeEditor
          range={question.range}
          onChange={(range) => {
            onChange({ ...question, range });
          }}
        />
        {ofSessions && <Rules question={question} onChange={onChange} />}
      </div>
      <div className="sentence-more">
        <More
          label="Condition"
          onClick={() => {
            onChange({ ...question, conditions: [...question.conditions, NEW_CONDITION] });
          }}
        />
        {question.by === "" && firstField !== undefined && (
          <More
            label="Split"
            onClick={() => {
              onChange({ ...question, by: words.fields.find(({ value }) => value === "country")?.value ?? firstField });
            }}
          />
        )}
      </div>
    </section>
  );
}
