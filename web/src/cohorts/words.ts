import type { Cohort } from "../api/types.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import type { RuleWords } from "./RuleEditor.tsx";

const bare = (field: string) => field.replace(/^user\./, "");

/** Words for rules: user properties are suggested by the names of event properties, which they mostly share; `own` is not a part of itself. */
export function ruleWords(words: Vocabulary, cohorts: readonly Cohort[], own: string | null): RuleWords {
  const properties = words.properties.map((choice) => ({ ...choice, value: `user.${choice.label}`, label: `user.${choice.label}`, group: "Named as on events" }));
  return {
    events: words,
    persons: { ...words, fields: properties, valuesOf: (field) => words.valuesOf(bare(field)) },
    cohorts: cohorts.filter(({ id }) => id !== own).map(({ id, name }) => ({ value: id, label: name })),
  };
}
