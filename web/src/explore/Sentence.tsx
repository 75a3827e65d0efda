import { ActionIcon, Button } from "@mantine/core";

import { Picker } from "../ui/Picker.tsx";
import { CrossIcon, PlusIcon } from "../ui/icons.tsx";
import { ConditionEditor } from "./ConditionEditor.tsx";
import { RangeEditor } from "./RangeEditor.tsx";
import { type Condition, INTERVALS, MAX_GROUP_KEYS, MEASURES, type Question } from "./question.ts";
import type { Vocabulary } from "./vocabulary.ts";

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
    <span className="sentence-part">
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
    </span>
  );
}

function Groups({ question, words, onChange }: SentenceProps) {
  const set = (groupBy: string[]) => {
    onChange({ ...question, groupBy });
  };
  const free = words.fields.filter((choice) => !question.groupBy.includes(choice.value));
  return question.groupBy.map((key, at) => (
    <span className="sentence-part" key={key}>
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
      <ActionIcon
        variant="subtle"
        color="gray"
        size={24}
        aria-label={`Do not group by ${key}`}
        onClick={() => {
          set(question.groupBy.filter((other) => other !== key));
        }}
      >
        <CrossIcon />
      </ActionIcon>
    </span>
  ));
}

function More({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Button variant="subtle" color="gray" size="compact-xs" leftSection={<PlusIcon />} onClick={onClick}>
      {label}
    </Button>
  );
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
        {conditions.map((condition, at) => (
          <ConditionEditor
            // Conditions have no names; their places are what they are known by.
            key={at}
            condition={condition}
            joint={at === 0 ? "where" : "and"}
            words={words}
            onChange={(changed) => {
              setConditions(conditions.map((other, place) => (place === at ? changed : other)));
            }}
            onRemove={() => {
              setConditions(conditions.filter((_, place) => place !== at));
            }}
          />
        ))}
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
          <span className="sentence-part">
            <span className="quiet">compared with the period before</span>
            <ActionIcon
              variant="subtle"
              color="gray"
              size={24}
              aria-label="Do not compare"
              onClick={() => {
                onChange({ ...question, compare: false });
              }}
            >
              <CrossIcon />
            </ActionIcon>
          </span>
        )}
      </div>
      <div className="sentence-more">
        <More
          label="Condition"
          onClick={() => {
            setConditions([...conditions, { property: "", op: "is", values: [] }]);
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
