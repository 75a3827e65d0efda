import { Combobox, useCombobox } from "@mantine/core";
import { useEffect, useRef, useState } from "react";

import { CheckIcon } from "./icons.tsx";
import { recentChoices, rememberChoice } from "./recent.ts";

export interface Choice {
  value: string;
  label: string;
  /** Small, at the right: a count or a type. */
  hint?: string;
  group?: string;
}

interface PickerProps {
  /** What is picked, for screen readers. */
  label: string;
  choices: Choice[];
  /** Null while nothing is picked; the empty text may be a choice like any other. */
  value: string | null;
  onChange: (value: string) => void;
  /** Stands in the sentence while nothing is picked. */
  placeholder?: string;
  /** Values that are not among the choices may be typed. */
  free?: boolean;
  /** Looks like a part that is still missing. */
  missing?: boolean;
  /** Its list is open when it appears: for a part that was just added, to be picked at once. */
  opens?: boolean;
}

interface ManyPickerProps extends Omit<PickerProps, "value" | "onChange"> {
  values: string[];
  onChange: (values: string[]) => void;
}

/** More choices than this are shown by searching. */
const MAX_SHOWN = 200;
/** Fewer choices than this need no search. */
const SEARCH_FROM = 8;

function Options({ choices, chosen }: { choices: Choice[]; chosen: string[] }) {
  const groups = new Map<string, Choice[]>();
  for (const choice of choices) groups.set(choice.group ?? "", [...(groups.get(choice.group ?? "") ?? []), choice]);
  const option = (choice: Choice) => (
    <Combobox.Option key={choice.value} value={choice.value} active={chosen.includes(choice.value)} className="picker-option">
      <span className="picker-check">{chosen.includes(choice.value) && <CheckIcon />}</span>
      <span className="cut" title={choice.label}>
        {choice.label}
      </span>
      {choice.hint !== undefined && <span className="picker-hint small quiet tabular">{choice.hint}</span>}
    </Combobox.Option>
  );
  return [...groups].map(([group, members]) =>
    group === "" ? (
      members.map(option)
    ) : (
      <Combobox.Group key={group} label={group}>
        {members.map(option)}
      </Combobox.Group>
    ),
  );
}

/** What matches the search, recent choices first where there is no search. */
function shownChoices(choices: Choice[], search: string, kind: string): Choice[] {
  const wanted = search.trim().toLowerCase();
  if (wanted !== "") return choices.filter((choice) => choice.label.toLowerCase().includes(wanted)).slice(0, MAX_SHOWN);
  if (choices.length < SEARCH_FROM) return choices;
  const recent = recentChoices(kind).flatMap((value) => choices.filter((choice) => choice.value === value));
  const rest = choices.filter((choice) => !recent.includes(choice)).slice(0, MAX_SHOWN);
  return [...recent.map((choice) => ({ ...choice, group: "Recent" })), ...rest.map((choice) => ({ ...choice, group: choice.group ?? (recent.length > 0 ? "All" : "") }))];
}

/** The part of a sentence that opens a list with search; `onSubmit` gets what was picked or typed. */
function PickerBox({ label, choices, chosen, text, placeholder, free = false, missing = false, opens = false, stays, onSubmit }: Omit<PickerProps, "value" | "onChange"> & { chosen: string[]; text: string; stays: boolean; onSubmit: (value: string) => void }) {
  const [search, setSearch] = useState("");
  const searches = free || choices.length >= SEARCH_FROM;
  const combobox = useCombobox({
    onDropdownOpen: () => {
      if (searches) combobox.focusSearchInput();
      combobox.selectActiveOption();
    },
    onDropdownClose: (source) => {
      setSearch("");
      combobox.resetSelectedOption();
      // After a click elsewhere the focus is where one clicked.
      if (source === "keyboard") combobox.focusTarget();
    },
  });
  const { openDropdown } = combobox;
  const openedBefore = useRef(false);
  useEffect(() => {
    if (!opens || openedBefore.current) return;
    openedBefore.current = true;
    openDropdown();
  }, [opens, openDropdown]);
  const shown = shownChoices(choices, search, label);
  const typed = search.trim();
  const offersTyped = free && typed !== "" && !choices.some((choice) => choice.value === typed);
  return (
    <Combobox
      store={combobox}
      position="bottom-start"
      width={280}
      withinPortal
      onOptionSubmit={(value) => {
        rememberChoice(label, value);
        onSubmit(value);
        setSearch("");
        if (!stays) combobox.closeDropdown("keyboard");
      }}
    >
      <Combobox.Target targetType="button">
        <button
          type="button"
          className="picker"
          data-empty={text === ""}
          data-missing={missing}
          aria-label={`${label}: ${text === "" ? (placeholder ?? "nothing") : text}`}
          onClick={() => {
            combobox.toggleDropdown();
          }}
        >
          <span className="cut">{text === "" ? placeholder : text}</span>
        </button>
      </Combobox.Target>
      <Combobox.Dropdown>
        {searches && (
          <Combobox.Search
            value={search}
            placeholder={free ? "Search or type" : "Search"}
            aria-label={`Search: ${label}`}
            onChange={(event) => {
              setSearch(event.currentTarget.value);
              combobox.updateSelectedOptionIndex();
              combobox.selectFirstOption();
            }}
          />
        )}
        <Combobox.Options className="picker-options" aria-label={label}>
          <Options choices={shown} chosen={chosen} />
          {offersTyped && (
            <Combobox.Option value={typed} className="picker-option">
              <span className="picker-check" />
              <span className="cut">Use “{typed}”</span>
            </Combobox.Option>
          )}
          {shown.length === 0 && !offersTyped && <Combobox.Empty>{free ? "Type a value" : "Nothing found"}</Combobox.Empty>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}

/** Picks one value. */
export function Picker({ value, onChange, choices, ...rest }: PickerProps) {
  const text = choices.find((choice) => choice.value === value)?.label ?? value ?? "";
  return <PickerBox {...rest} choices={choices} chosen={value === null ? [] : [value]} text={text} stays={false} onSubmit={onChange} />;
}

/** Picks any number of values; picking one again takes it away. */
export function ManyPicker({ values, onChange, choices, ...rest }: ManyPickerProps) {
  const known = new Set(choices.map((choice) => choice.value));
  const all = [...values.filter((value) => !known.has(value)).map((value) => ({ value, label: value })), ...choices];
  const [first, second, ...more] = values;
  const text = [first, second].filter((value) => value !== undefined).join(", ") + (more.length > 0 ? ` +${more.length}` : "");
  return (
    <PickerBox
      {...rest}
      choices={all}
      chosen={values}
      text={text}
      stays
      onSubmit={(value) => {
        onChange(values.includes(value) ? values.filter((other) => other !== value) : [...values, value]);
      }}
    />
  );
}
