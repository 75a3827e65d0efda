import { Button, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { Choose } from "../builder/Choose.tsx";
import type { Named } from "../builder/named.ts";
import { MEASURES } from "../sessions/question.ts";
import { Drawer } from "../ui/Drawer.tsx";
import { MAX_TITLE, type Tile, titleOf } from "./board.ts";

const MAX_TEXT = 10_000;

/** The ways in which an answer can be drawn, the usual one first; one way is no choice. */
function viewsOf({ call, request = {} }: Tile): Named[] {
  const table = { value: "table", label: "a table" };
  switch (call) {
    case "query":
      if (request["interval"] !== undefined) return [{ value: "lines", label: "lines" }, { value: "bars", label: "bars" }, table];
      return request["group_by"] === undefined ? [] : [{ value: "ranked", label: "ranked names" }, table];
    case "funnel":
      return request["interval"] === undefined ? [] : [{ value: "steps", label: "steps" }, { value: "trend", label: "conversion over time" }];
    case "retention":
      return [{ value: "cohorts", label: "the table of cohorts" }, { value: "curve", label: "the curve" }];
    case "sessions":
      return MEASURES;
    case "sql":
      return [table, { value: "chart", label: "a chart" }];
    default:
      return [];
  }
}

/** The title of a tile and how it is drawn, or its text. */
export function TileEditor({ tile, onDone, onClose }: { tile: Tile; onDone: (changed: Partial<Tile>) => void; onClose: () => void }) {
  const [title, setTitle] = useState(tile.text === undefined ? titleOf(tile) : (tile.title ?? ""));
  const [text, setText] = useState(tile.text ?? "");
  const views = viewsOf(tile);
  const [view, setView] = useState(views.some(({ value }) => value === tile.view) ? tile.view : views[0]?.value);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onDone({ title: title.trim(), ...(tile.text !== undefined && { text }), ...(view !== undefined && { view }) });
  };
  return (
    <Drawer title={tile.text === undefined ? "Tile" : "Text"} onClose={onClose}>
      <form className="board-form" onSubmit={submit}>
        <TextInput
          label="Title"
          maxLength={MAX_TITLE}
          value={title}
          onChange={(event) => {
            setTitle(event.currentTarget.value);
          }}
        />
        {tile.text !== undefined && (
          <label className="text-field">
            <span className="option-label">Text</span>
            <textarea
              rows={8}
              maxLength={MAX_TEXT}
              value={text}
              onChange={(event) => {
                setText(event.currentTarget.value);
              }}
            />
          </label>
        )}
        {views.length > 1 && <Choose label="Drawn as" choices={views} value={view ?? ""} onChange={setView} />}
        <Button type="submit">Done</Button>
      </form>
    </Drawer>
  );
}
