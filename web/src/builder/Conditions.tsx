import { useState } from "react";

import { ConditionEditor } from "./ConditionEditor.tsx";
import type { Condition } from "./conditions.ts";
import type { Vocabulary } from "./vocabulary.ts";

interface ConditionsProps {
  conditions: Condition[];
  words: Vocabulary;
  onChange: (conditions: Condition[]) => void;
  /** Stands before the first one. */
  joint?: string;
}

/** Conditions of which all hold, as parts of a sentence. */
export function Conditions({ conditions, words, onChange, joint = "where" }: ConditionsProps) {
  // Those that were there before are not fresh, nor those of another question that has as many.
  const [known, setKnown] = useState(conditions.length);
  if (conditions.length < known) setKnown(conditions.length);
  return conditions.map((condition, at) => (
    <ConditionEditor
      // Conditions have no names; their places are what they are known by.
      key={at}
      condition={condition}
      joint={at === 0 ? joint : "and"}
      words={words}
      fresh={at >= known && condition.property === ""}
      onChange={(changed) => {
        onChange(conditions.map((other, place) => (place === at ? changed : other)));
      }}
      onRemove={() => {
        onChange(conditions.filter((_, place) => place !== at));
      }}
    />
  ));
}
