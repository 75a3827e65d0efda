import { Conditions } from "../builder/Conditions.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { type Condition, NEW_CONDITION } from "../builder/conditions.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { Picker } from "../ui/Picker.tsx";
import { INTERVALS, MAX_GROUP_KEYS, MEASURES, type Question } from "./question.ts";

interface SentenceProps {
  question: Question;
  words: Vocabulary;
  onChange: (question: Question) => void;
}

const ANY_EVENT = "";

/** What is measured of which event. */
function Subject({ question, words, onChange }: SentenceProps) {
  const measure = MEASURES.find((one) => one.value === question.measure);
  const properties = question.measure === "count_distinct" ? words.properties : words.numbers;
  return (
    <Part>
      <Picker
        label="Measure"
        choices={MEASURES}
        value={question.measure}
        onChange={(picked) => {
          const ofProperty = MEASURES.find((one) => one.value === picked)?.ofProperty === true;
          onChange({ ...question, measure: picked, property: ofProperty ? question.property : "" });
        }}
      />
      {measure?.ofProperty === true && (
        <>
          <span className="quiet">of</span>
          <Picker
            label="Measured property"
            placeholder="a property"
            choices={properties}
            free
            missing={question.property === ""}
            value={question.property}
            onChange={(property) => {
              onChange({ ...question, property });
            }}
          />
        </>
      )}
      <span className="quiet">{measure?.joint}</span>
      <Picker
        label="Event"
        choices={[{ value: ANY_EVENT, label: "any event" }, ...words.events]}
        free
        value={question.event}
        onChange={(event) => {
          onChange({ ...question, event });
        }}
      />
    </Part>
  );
}

function Groups({ question, words, onChange }: SentenceProps) {
  const set = (groupBy: string[]) => {
    onChange({ ...question, groupBy });
  };
  const free = words.fields.filter((choice) => !question.groupBy.includes(choice.value));
  return question.groupBy.map((key, at) => (
    <Part
      key={key}
      removal={`Do not group by ${key}`}
      onRemove={() => {
        set(question.groupBy.filter((other) => other !== key));
      }}
    >
      <span className="quiet">{at === 0 ? "by" : "and"}</span>
      <Picker
        label={`Group ${at + 1}`}
        choices={[...words.fields.filter((choice) => choice.value === key), ...free]}
        free
        value={key}
        onChange={(picked) => {
          set([...new Set(question.groupBy.map((other) => (other === key ? picked : other)))]);
        }}
      />
    </Part>
  ));
}

/** The question as a sentence whose parts are pickers. */
export function Sentence({ question, words, onChange }: SentenceProps) {
  const { conditions } = question;
  const setConditions = (changed: Condition[]) => {
    onChange({ ...question, conditions: changed });
  };
  const firstFree = words.fields.find((choice) => !question.groupBy.includes(choice.value));
  return (
    <section className="panel sentence" aria-label="Question">
      <div className="sentence-text">
        <Subject question={question} words={words} onChange={onChange} />
        <Conditions conditions={conditions} words={words} onChange={setConditions} />
        <Groups question={question} words={words} onChange={onChange} />
        <Picker
          label="Interval"
          choices={INTERVALS}
          value={question.interval}
          onChange={(interval) => {
            onChange({ ...question, interval });
          }}
        />
        <RangeEditor
          range={question.range}
          onChange={(range) => {
            onChange({ ...question, range });
          }}
        />
        {question.compare && question.range !== "all" && (
          <Part
            removal="Do not compare"
            onRemove={() => {
              onChange({ ...question, compare: false });
            }}
          >
            <span className="quiet">compared with the period before</span>
          </Part>
        )}
      </div>
      <div className="sentence-more">
        <More
          label="Condition"
          onClick={() => {
            setConditions([...conditions, NEW_CONDITION]);
          }}
        />
        {question.groupBy.length < MAX_GROUP_KEYS && firstFree !== undefined && (
          <More
            label="Group"
            onClick={() => {
              onChange({ ...question, groupBy: [...question.groupBy, firstFree.value] });
            }}
          />
        )}
        {!question.compare && question.range !== "all" && (
          <More
            label="Period before"
            onClick={() => {
              onChange({ ...question, compare: true });
            }}
          />
        )}
      </div>
    </section>
  );
}
