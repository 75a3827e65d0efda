import { Conditions } from "../builder/Conditions.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { Split } from "../builder/Split.tsx";
import { SubjectEditor } from "../builder/SubjectEditor.tsx";
import { NEW_CONDITION } from "../builder/conditions.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { Picker } from "../ui/Picker.tsx";
import { ENTRIES, MODES, PERIODS, type Retention } from "./retention.ts";

interface QuestionProps {
  retention: Retention;
  words: Vocabulary;
  onChange: (changed: Partial<Retention>) => void;
}

/** The two events, a line each: what begins it, and what is coming back. */
function Events({ retention, words, onChange }: QuestionProps) {
  return (
    <>
      <div className="sentence-text">
        <span className="quiet">persons who did</span>
        <SubjectEditor
          name="Start event"
          subject={retention.start}
          words={words}
          onChange={(start) => {
            onChange({ start });
          }}
        />
        <Picker
          label="Which start"
          choices={ENTRIES}
          value={retention.entry}
          onChange={(entry) => {
            onChange({ entry });
          }}
        />
      </div>
      <div className="sentence-text">
        <span className="quiet">and came back with</span>
        <SubjectEditor
          name="Return event"
          subject={retention.back}
          words={words}
          onChange={(back) => {
            onChange({ back });
          }}
        />
        <Picker
          label="When"
          choices={MODES}
          value={retention.mode}
          onChange={(mode) => {
            onChange({ mode });
          }}
        />
      </div>
    </>
  );
}

/** The question as sentences whose parts are pickers. */
export function Question({ retention, words, onChange }: QuestionProps) {
  const [field] = words.fields;
  return (
    <>
      <Events retention={retention} words={words} onChange={onChange} />
      <div className="sentence-text">
        <Part>
          <span className="quiet">each</span>
          <Picker
            label="Period"
            choices={PERIODS}
            value={retention.period}
            onChange={(period) => {
              onChange({ period });
            }}
          />
          <span className="quiet">of</span>
        </Part>
        <RangeEditor
          range={retention.range}
          onChange={(range) => {
            onChange({ range });
          }}
        />
        <Conditions
          conditions={retention.conditions}
          words={words}
          onChange={(conditions) => {
            onChange({ conditions });
          }}
        />
        <Split
          property={retention.breakdown}
          words={words}
          onChange={(breakdown) => {
            onChange({ breakdown, group: "" });
          }}
        />
      </div>
      <div className="sentence-more">
        <More
          label="Condition"
          onClick={() => {
            onChange({ conditions: [...retention.conditions, NEW_CONDITION] });
          }}
        />
        {retention.breakdown === "" && field !== undefined && (
          <More
            label="Split"
            onClick={() => {
              onChange({ breakdown: field.value });
            }}
          />
        )}
      </div>
    </>
  );
}
