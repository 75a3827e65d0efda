import { Picker } from "../ui/Picker.tsx";
import { Part } from "./Part.tsx";
import type { Vocabulary } from "./vocabulary.ts";

interface SplitProps {
  /** Empty for none. */
  property: string;
  words: Vocabulary;
  onChange: (property: string) => void;
}

/** The property that splits an answer into groups, as a part of the sentence; nothing where nothing does. */
export function Split({ property, words, onChange }: SplitProps) {
  if (property === "") return null;
  return (
    <Part
      removal={`Do not split by ${property}`}
      onRemove={() => {
        onChange("");
      }}
    >
      <span className="quiet">split by</span>
      <Picker label="Split by" choices={words.fields} free value={property} onChange={onChange} />
    </Part>
  );
}
