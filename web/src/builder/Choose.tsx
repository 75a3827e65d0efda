import type { ReactNode } from "react";

import { Picker } from "../ui/Picker.tsx";
import type { Named } from "./named.ts";

interface ChooseProps {
  label: string;
  /** What the choice means, where its label does not say it. */
  about?: ReactNode;
  choices: Named[];
  value: string;
  onChange: (value: string) => void;
}

/** One option of a side panel: what it is, and what is chosen. */
export function Choose({ label, about, choices, value, onChange }: ChooseProps) {
  return (
    <Option label={label} about={about}>
      <Picker label={label} choices={choices} value={value} onChange={onChange} />
    </Option>
  );
}

interface OptionProps {
  label: string;
  about?: ReactNode;
  /** Takes a whole row where options stand side by side. */
  wide?: boolean;
  children: ReactNode;
}

/** The place of an option in a side panel. */
export function Option({ label, about, wide = false, children }: OptionProps) {
  return (
    <div className={wide ? "option option-wide" : "option"}>
      <span className="option-label">{label}</span>
      <div className="option-choice">{children}</div>
      {about !== undefined && <p className="option-about quiet small">{about}</p>}
    </div>
  );
}
