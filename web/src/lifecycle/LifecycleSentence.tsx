import { Conditions } from "../builder/Conditions.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { NEW_CONDITION } from "../builder/conditions.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { Picker } from "../ui/Picker.tsx";
import { type LifecycleQuestion, PERIODS } from "./question.ts";

interface SentenceProps {
  question: LifecycleQuestion;
  words: Vocabulary;
  onChange: (question: LifecycleQuestion) => void;
}

/** The question as a sentence whose parts are pickers. */
export function LifecycleSentence({ question, words, onChange }: SentenceProps) {
  return (
    <section className="panel sentence" aria-label="Question">
      <div className="sentence-text">
        <Part>
          <span className="quiet">Persons active with</span>
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
        <Picker
          label="Period"
          choices={PERIODS}
          value={question.period}
          onChange={(period) => {
            onChange({ ...question, period });
          }}
        />
        <RangeEditor
          range={question.range}
          onChange={(range) => {
            onChange({ ...question, range });
          }}
        />
      </div>
      <div className="sentence-more">
        <More
          label="Condition"
          onClick={() => {
            onChange({ ...question, conditions: [...question.conditions, NEW_CONDITION] });
          }}
        />
      </div>
    </section>
  );
}
