import { Conditions } from "../builder/Conditions.tsx";
import { More } from "../builder/More.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { type Condition, NEW_CONDITION } from "../builder/conditions.ts";
import { RANGES } from "../builder/range.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";

interface ScopeBarProps {
  /** What holds, whether saved or chosen here; empty where each tile has its own. */
  range: string;
  /** Null where the saved filters are more than this can show. */
  conditions: Condition[] | null;
  /** Something else than what was saved is chosen. */
  chosen: boolean;
  words: Vocabulary;
  onRange: (range: string) => void;
  onConditions: (conditions: Condition[]) => void;
  onReset: () => void;
}

const OWN = { value: "", label: "each tile's own range" };

/** Range and filters of all tiles. */
export function ScopeBar({ range, conditions, chosen, words, onRange, onConditions, onReset }: ScopeBarProps) {
  return (
    <section className="scope-bar" aria-label="Range and filters of all tiles">
      <RangeEditor range={range} choices={range === "" ? [OWN, ...RANGES] : RANGES} onChange={onRange} />
      {conditions === null ? (
        <span className="quiet">with saved filters</span>
      ) : (
        <>
          <Conditions conditions={conditions} words={words} onChange={onConditions} />
          <More
            label="Filter"
            onClick={() => {
              onConditions([...conditions, NEW_CONDITION]);
            }}
          />
        </>
      )}
      {chosen && (
        <button type="button" className="link small" onClick={onReset}>
          As saved
        </button>
      )}
    </section>
  );
}
