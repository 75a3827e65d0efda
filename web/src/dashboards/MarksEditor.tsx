import { ActionIcon, Button, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { momentLabel } from "../charts/time.ts";
import { Drawer } from "../ui/Drawer.tsx";
import { CrossIcon } from "../ui/icons.tsx";
import { type Annotation, MAX_TITLE } from "./board.ts";

/** As many as the server keeps. */
const MAX_MARKS = 100;

interface MarksEditorProps {
  marks: readonly Annotation[];
  onChange: (marks: Annotation[]) => void;
  onClose: () => void;
}

/** What happened when: a mark on every chart over time. */
export function MarksEditor({ marks, onChange, onClose }: MarksEditorProps) {
  const [day, setDay] = useState("");
  const [text, setText] = useState("");
  const add = (event: SyntheticEvent) => {
    event.preventDefault();
    onChange([...marks, { time: `${day}T12:00:00Z`, text: text.trim() }].sort((a, b) => Date.parse(a.time) - Date.parse(b.time)));
    setText("");
  };
  return (
    <Drawer title="Marks" onClose={onClose}>
      <p className="quiet">A mark stands on every chart over time: a release, a campaign, a change of prices.</p>
      <ul className="marks">
        {marks.map(({ time, text }, at) => (
          // Two may say the same of the same day.
          <li key={at}>
            <span>
              <span className="quiet tabular">{momentLabel(time).slice(0, -9)}</span> {text}
            </span>
            <ActionIcon
              variant="subtle"
              color="gray"
              size={24}
              aria-label={`Remove the mark ${text}`}
              onClick={() => {
                onChange(marks.filter((_, other) => other !== at));
              }}
            >
              <CrossIcon />
            </ActionIcon>
          </li>
        ))}
      </ul>
      {marks.length < MAX_MARKS && (
        <form className="mark-new" onSubmit={add}>
          <input
            type="date"
            className="picker day"
            aria-label="Day of the mark"
            required
            value={day}
            onChange={(event) => {
              setDay(event.currentTarget.value);
            }}
          />
          <TextInput
            aria-label="What happened"
            placeholder="What happened"
            required
            maxLength={MAX_TITLE}
            value={text}
            onChange={(event) => {
              setText(event.currentTarget.value);
            }}
          />
          <Button type="submit" size="sm">
            Add
          </Button>
        </form>
      )}
    </Drawer>
  );
}
