import { Choose, Option } from "../builder/Choose.tsx";
import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { SubjectEditor } from "../builder/SubjectEditor.tsx";
import { NEW_SUBJECT, isPicked, subjectInWords } from "../builder/subject.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { ManyPicker, Picker } from "../ui/Picker.tsx";
import { APPLIES, ENTRIES, type Exclusion, type Funnel, MAX_EXCLUSIONS, MAX_HELD, TRENDS } from "./funnel.ts";

interface OptionsProps {
  funnel: Funnel;
  words: Vocabulary;
  onChange: (funnel: Funnel) => void;
}

/** The steps by number and name; `ends` stands before them. */
function stepChoices(funnel: Funnel, ends: { value: string; label: string }[]) {
  return [...ends, ...funnel.steps.map((step, at) => ({ value: String(at + 1), label: isPicked(step) ? `${at + 1}. ${subjectInWords(step)}` : `${at + 1}.` }))];
}

function ExclusionEditor({ funnel, exclusion, number, words, onChange, onRemove }: Omit<OptionsProps, "onChange"> & { exclusion: Exclusion; number: number; onChange: (exclusion: Exclusion) => void; onRemove: () => void }) {
  return (
    <li className="sentence-text">
      <SubjectEditor name={`Exclusion ${number}`} subject={exclusion} words={words} onChange={onChange} />
      <Part removal={`Remove exclusion ${number}`} onRemove={onRemove}>
        {funnel.mode === "ordered" && (
          <>
            <span className="quiet">between</span>
            <Picker
              label={`Exclusion ${number} from`}
              choices={stepChoices(funnel, [{ value: "0", label: "the first step" }])}
              value={String(exclusion.from)}
              onChange={(from) => {
                onChange({ ...exclusion, from: Number(from) });
              }}
            />
            <span className="quiet">and</span>
            <Picker
              label={`Exclusion ${number} to`}
              choices={stepChoices(funnel, [{ value: "0", label: "the last step" }])}
              value={String(exclusion.to)}
              onChange={(to) => {
                onChange({ ...exclusion, to: Number(to) });
              }}
            />
          </>
        )}
      </Part>
    </li>
  );
}

function Exclusions({ funnel, words, onChange }: OptionsProps) {
  const set = (exclusions: Exclusion[]) => {
    onChange({ ...funnel, exclusions });
  };
  if (funnel.mode === "strict") {
    return (
      <Option wide label="Without" about="Nothing at all comes between the steps of this funnel, so there is nothing to exclude.">
        {null}
      </Option>
    );
  }
  return (
    <Option wide label="Without" about="An attempt with such an event between the steps counts for nothing.">
      <ul className="exclusions">
        {funnel.exclusions.map((exclusion, at) => (
          <ExclusionEditor
            // An exclusion is known by its place.
            key={at}
            funnel={funnel}
            exclusion={exclusion}
            number={at + 1}
            words={words}
            onChange={(changed) => {
              set(funnel.exclusions.map((other, place) => (place === at ? changed : other)));
            }}
            onRemove={() => {
              set(funnel.exclusions.filter((_, place) => place !== at));
            }}
          />
        ))}
      </ul>
      {funnel.exclusions.length < MAX_EXCLUSIONS && (
        <More
          label="Exclusion"
          onClick={() => {
            set([...funnel.exclusions, { ...NEW_SUBJECT, from: 0, to: 0 }]);
          }}
        />
      )}
    </Option>
  );
}

function attributions(funnel: Funnel) {
  const ends = [
    { value: "first", label: "the first step" },
    { value: "last", label: "the last step reached" },
  ];
  return funnel.mode === "unordered" ? ends : [...ends, ...stepChoices(funnel, []).map(({ value, label }) => ({ value: `step:${value}`, label }))];
}

/** What one changes now and then. */
export function Options({ funnel, words, onChange }: OptionsProps) {
  const set = (changed: Partial<Funnel>) => {
    onChange({ ...funnel, ...changed });
  };
  return (
    <>
      <Choose
        label="Begins with"
        choices={ENTRIES}
        value={funnel.entry}
        onChange={(entry) => {
          set({ entry, ...(entry === "first" && { counting: "users" }) });
        }}
      />
      <Choose
        label="The range holds"
        choices={APPLIES}
        value={funnel.applies}
        onChange={(applies) => {
          set({ applies });
        }}
      />
      {funnel.breakdown !== "" && (
        <Choose
          label={`${funnel.breakdown} is that of`}
          choices={attributions(funnel)}
          value={funnel.attribution}
          onChange={(attribution) => {
            set({ attribution });
          }}
        />
      )}
      <Choose
        label="Trend"
        choices={TRENDS}
        value={funnel.interval}
        onChange={(interval) => {
          set({ interval });
        }}
      />
      <Option label="Same in all steps">
        <ManyPicker
          label="Same in all steps"
          placeholder="nothing"
          choices={words.fields}
          free
          values={funnel.hold}
          onChange={(hold) => {
            set({ hold: hold.slice(-MAX_HELD) });
          }}
        />
      </Option>
      <Exclusions funnel={funnel} words={words} onChange={onChange} />
    </>
  );
}
