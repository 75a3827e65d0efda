import { ActionIcon } from "@mantine/core";

import { Conditions } from "../builder/Conditions.tsx";
import { ConditionEditor } from "../builder/ConditionEditor.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { RangeEditor } from "../builder/RangeEditor.tsx";
import { NEW_CONDITION } from "../builder/conditions.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { type Choice, ManyPicker, Picker } from "../ui/Picker.tsx";
import { CrossIcon } from "../ui/icons.tsx";
import { type CohortRule, type DidRule, type GroupRule, NEW_COHORT, NEW_DID, NEW_GROUP, NEW_PROPERTY, OCCURRENCES, type Rule, TIMES, WINDOWS } from "./rule.ts";

/** Names for the parts of a rule. */
export interface RuleWords {
  /** Of events, for conditions on what was done. */
  events: Vocabulary;
  /** Of persons: fields are user properties. */
  persons: Vocabulary;
  /** Other cohorts. */
  cohorts: Choice[];
}

interface EditorProps<R extends Rule> {
  rule: R;
  words: RuleWords;
  onChange: (rule: R) => void;
}

const MAX_TIMES = 1_000_000;
/** Groups within groups that can be built here; deeper ones are shown. */
const MAX_DEPTH = 3;

const yesOrNo = (yes: string, no: string) => [
  { value: "yes", label: yes },
  { value: "no", label: no },
];

/** How often, and whether the first or the last time of all is meant. */
function Times({ rule, onChange }: Omit<EditorProps<DidRule>, "words">) {
  return (
    <>
      <Part>
        <Picker
          label="How often"
          choices={TIMES}
          value={rule.times}
          onChange={(times) => {
            onChange({ ...rule, times });
          }}
        />
        <input
          type="number"
          className="picker times"
          aria-label="Times"
          min={rule.times === "at_least" ? 1 : 0}
          max={MAX_TIMES}
          value={rule.count}
          onChange={(event) => {
            const count = Math.round(event.currentTarget.valueAsNumber);
            if (count >= 0 && count <= MAX_TIMES) onChange({ ...rule, count });
          }}
        />
        <span className="quiet">{rule.count === 1 ? "time" : "times"}</span>
      </Part>
      <Picker
        label="Which time"
        choices={OCCURRENCES}
        value={rule.occurrence}
        onChange={(occurrence) => {
          onChange({ ...rule, occurrence });
        }}
      />
    </>
  );
}

function DidEditor({ rule, words, onChange }: EditorProps<DidRule>) {
  return (
    <>
      <Picker
        label="Did or did not"
        choices={yesOrNo("did", "did not do")}
        value={rule.negated ? "no" : "yes"}
        onChange={(picked) => {
          onChange({ ...rule, negated: picked === "no" });
        }}
      />
      <ManyPicker
        label="Events"
        placeholder="any event"
        choices={words.events.events}
        free
        values={rule.events}
        onChange={(events) => {
          onChange({ ...rule, events });
        }}
      />
      <Conditions
        conditions={rule.conditions}
        words={words.events}
        onChange={(conditions) => {
          onChange({ ...rule, conditions });
        }}
      />
      {!rule.negated && <Times rule={rule} onChange={onChange} />}
      <RangeEditor
        range={rule.range}
        choices={WINDOWS}
        onChange={(range) => {
          onChange({ ...rule, range });
        }}
      />
      <span className="subject-more">
        <More
          label="where"
          about="where: a condition on the event"
          onClick={() => {
            onChange({ ...rule, conditions: [...rule.conditions, NEW_CONDITION] });
          }}
        />
      </span>
    </>
  );
}

function CohortEditor({ rule, words, onChange }: EditorProps<CohortRule>) {
  return (
    <>
      <Picker
        label="In or not in"
        choices={yesOrNo("are in", "are not in")}
        value={rule.negated ? "no" : "yes"}
        onChange={(picked) => {
          onChange({ ...rule, negated: picked === "no" });
        }}
      />
      <Picker
        label="Cohort"
        placeholder="a cohort"
        choices={words.cohorts}
        missing={rule.id === ""}
        value={rule.id}
        onChange={(id) => {
          onChange({ ...rule, id });
        }}
      />
    </>
  );
}

/** One rule of a group, whatever its kind. */
function OneRule({ rule, words, onChange, onRemove, depth }: EditorProps<Rule> & { onRemove: () => void; depth: number }) {
  switch (rule.kind) {
    case "did":
      return <DidEditor rule={rule} words={words} onChange={onChange} />;
    case "cohort":
      return <CohortEditor rule={rule} words={words} onChange={onChange} />;
    case "property":
      return (
        <ConditionEditor
          condition={rule.condition}
          joint="whose"
          words={words.persons}
          onChange={(condition) => {
            const { property } = condition;
            const named = property === "" || property.startsWith("user.") ? property : `user.${property}`;
            onChange({ ...rule, condition: { ...condition, property: named } });
          }}
          onRemove={onRemove}
        />
      );
    case "group":
      return <GroupEditor rule={rule} words={words} onChange={onChange} depth={depth + 1} />;
    case "other":
      return (
        <span className="sentence-part">
          <span className="quiet">fit</span>
          <code className="rule-json">{JSON.stringify(rule.json)}</code>
        </span>
      );
  }
}

const REMOVALS: Record<Rule["kind"], string> = { did: "Remove what was done", cohort: "Remove the cohort", property: "Remove the property", group: "Remove the group", other: "Remove the rule" };

function Additions({ words, depth, onAdd }: { words: RuleWords; depth: number; onAdd: (rule: Rule) => void }) {
  return (
    <div className="sentence-more">
      <More
        label="Did something"
        onClick={() => {
          onAdd(NEW_DID);
        }}
      />
      <More
        label="Has a property"
        onClick={() => {
          onAdd(NEW_PROPERTY);
        }}
      />
      {words.cohorts.length > 0 && (
        <More
          label="Is in a cohort"
          onClick={() => {
            onAdd(NEW_COHORT);
          }}
        />
      )}
      {depth < MAX_DEPTH && (
        <More
          label="Group"
          onClick={() => {
            onAdd(NEW_GROUP);
          }}
        />
      )}
    </div>
  );
}

const GROUPS = [
  { value: "all", label: "all of these" },
  { value: "any", label: "any of these" },
  { value: "not-all", label: "not all of these" },
  { value: "none", label: "none of these" },
];

/** How a group joins its rules, as one choice. */
function joinOf({ all, negated }: GroupRule): string {
  if (all) return negated ? "not-all" : "all";
  return negated ? "none" : "any";
}

/** Rules of which all or any hold; a rule may be a group itself. */
export function GroupEditor({ rule, words, onChange, depth = 0 }: EditorProps<GroupRule> & { depth?: number }) {
  const { rules, all } = rule;
  const set = (changed: Rule[]) => {
    onChange({ ...rule, rules: changed });
  };
  return (
    <div className="rule-group" role="group" aria-label={depth === 0 ? "Rule" : "Group of rules"} data-depth={depth}>
      <div className="sentence-text">
        <span className="quiet">{depth === 0 ? "Persons who fit" : "fit"}</span>
        <Picker
          label="Joined by"
          choices={depth === 0 ? GROUPS.slice(0, 2) : GROUPS}
          value={joinOf(rule)}
          onChange={(picked) => {
            onChange({ ...rule, all: picked === "all" || picked === "not-all", negated: picked === "not-all" || picked === "none" });
          }}
        />
      </div>
      <ol className="rules">
        {rules.map((one, at) => {
          const onRemove = () => {
            set(rules.filter((_, place) => place !== at));
          };
          return (
            // Rules have no names; their places are what they are known by.
            <li key={at}>
              <span className="rule-joint small quiet">{at === 0 ? "" : all ? "and" : "or"}</span>
              <div className="sentence-text">
                <OneRule
                  rule={one}
                  words={words}
                  depth={depth}
                  onRemove={onRemove}
                  onChange={(changed) => {
                    set(rules.map((other, place) => (place === at ? changed : other)));
                  }}
                />
              </div>
              {/* A condition has its own way out. */}
              {one.kind !== "property" && (
                <ActionIcon variant="subtle" color="gray" size={28} aria-label={REMOVALS[one.kind]} onClick={onRemove}>
                  <CrossIcon />
                </ActionIcon>
              )}
            </li>
          );
        })}
      </ol>
      <Additions
        words={words}
        depth={depth}
        onAdd={(added) => {
          set([...rules, added]);
        }}
      />
    </div>
  );
}
