import { ActionIcon } from "@mantine/core";

import { ManyPicker, Picker } from "../ui/Picker.tsx";
import { CrossIcon } from "../ui/icons.tsx";
import { type Condition, operatorsOf, takes, withProperty } from "./conditions.ts";
import type { Vocabulary } from "./vocabulary.ts";

interface ConditionEditorProps {
  condition: Condition;
  /** "where" or "and". */
  joint: string;
  words: Vocabulary;
  /** It was just added: what it is about is picked first. */
  fresh?: boolean;
  onChange: (condition: Condition) => void;
  onRemove: () => void;
}

/** One condition of the sentence: a field, a comparison, and what it compares with. */
export function ConditionEditor({ condition, joint, words, fresh = false, onChange, onRemove }: ConditionEditorProps) {
  const { property, op, values } = condition;
  const wanted = takes(op);
  const choices = words.valuesOf(property);
  return (
    <span className="sentence-part">
      <span className="quiet">{joint}</span>
      <Picker
        label="Property"
        placeholder="a property"
        choices={words.fields}
        free
        missing={property === ""}
        opens={fresh}
        value={property}
        onChange={(picked) => {
          onChange(withProperty(condition, picked));
        }}
      />
      <Picker
        label="Comparison"
        choices={operatorsOf(property)}
        value={op}
        onChange={(picked) => {
          const keeps = takes(picked) === wanted ? values : takes(picked) === "none" ? [] : values.slice(0, 1);
          onChange({ ...condition, op: picked, values: keeps });
        }}
      />
      {wanted === "many" && (
        <ManyPicker
          label="Values"
          placeholder="a value"
          choices={choices}
          free
          missing={values.length === 0}
          values={values}
          onChange={(picked) => {
            onChange({ ...condition, values: picked });
          }}
        />
      )}
      {(wanted === "one" || wanted === "number") && (
        <Picker
          label="Value"
          placeholder={wanted === "number" ? "a number" : "a value"}
          choices={choices}
          free
          missing={values.length === 0}
          value={values[0] ?? ""}
          onChange={(picked) => {
            onChange({ ...condition, values: [picked] });
          }}
        />
      )}
      <ActionIcon variant="subtle" color="gray" size={24} aria-label={`Remove the condition on ${property === "" ? "nothing yet" : property}`} onClick={onRemove}>
        <CrossIcon />
      </ActionIcon>
    </span>
  );
}
