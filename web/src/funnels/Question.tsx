import { Conditions } from "../builder/Conditions.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { Split } from "../builder/Split.tsx";
import { NEW_CONDITION } from "../builder/conditions.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { Picker } from "../ui/Picker.tsx";
import { StepList } from "./StepList.tsx";
import { COUNTINGS, type Funnel, MODES, WINDOWS, isWindow } from "./funnel.ts";
import { withStepMoved, withoutStep } from "./places.ts";

interface QuestionProps {
  funnel: Funnel;
  words: Vocabulary;
  onChange: (funnel: Funnel) => void;
}

/** What is counted, in which order and how fast, of which events. */
function Sentence({ funnel, words, onChange }: QuestionProps) {
  const set = (changed: Partial<Funnel>) => {
    onChange({ ...funnel, ...changed });
  };
  return (
    <div className="sentence-text funnel-sentence">
      <Part>
        <span className="quiet">count</span>
        <Picker
          label="Counted"
          choices={COUNTINGS}
          value={funnel.entry === "first" ? "users" : funnel.counting}
          onChange={(counting) => {
            set({ counting, ...(counting === "totals" && { entry: "any" }) });
          }}
        />
      </Part>
      <Part>
        <span className="quiet">going</span>
        <Picker
          label="Order"
          choices={MODES}
          value={funnel.mode}
          onChange={(mode) => {
            set({ mode });
          }}
        />
      </Part>
      <Part>
        <span className="quiet">within</span>
        <Picker
          label="Window"
          choices={WINDOWS}
          free
          value={funnel.window}
          onChange={(window) => {
            if (isWindow(window)) set({ window });
          }}
        />
      </Part>
      <RangeEditor
        range={funnel.range}
        onChange={(range) => {
          set({ range });
        }}
      />
      <Conditions
        conditions={funnel.conditions}
        words={words}
        onChange={(conditions) => {
          set({ conditions });
        }}
      />
      <Split
        property={funnel.breakdown}
        words={words}
        onChange={(breakdown) => {
          set({ breakdown, ...(breakdown === "" && { attribution: "first" }) });
        }}
      />
    </div>
  );
}

/** The steps, and the sentence about them. */
export function Question({ funnel, words, onChange }: QuestionProps) {
  const [field] = words.fields;
  return (
    <>
      <StepList
        steps={funnel.steps}
        optionals={funnel.mode === "ordered"}
        words={words}
        onChange={(steps) => {
          onChange({ ...funnel, steps });
        }}
        onMove={(at, to) => {
          onChange(withStepMoved(funnel, at, to));
        }}
        onRemove={(at) => {
          onChange(withoutStep(funnel, at));
        }}
      />
      <Sentence funnel={funnel} words={words} onChange={onChange} />
      <div className="sentence-more">
        <More
          label="Condition"
          onClick={() => {
            onChange({ ...funnel, conditions: [...funnel.conditions, NEW_CONDITION] });
          }}
        />
        {funnel.breakdown === "" && field !== undefined && (
          <More
            label="Split"
            onClick={() => {
              onChange({ ...funnel, breakdown: field.value });
            }}
          />
        )}
      </div>
    </>
  );
}
