import { Button } from "@mantine/core";
import { type KeyboardEvent, type RefObject, useRef } from "react";

import { indent, outdent } from "./indent.ts";
import { replaceText } from "./replaceText.ts";

interface EditorProps {
  area: RefObject<HTMLTextAreaElement | null>;
  sql: string;
  onChange: (sql: string) => void;
  onRun: () => void;
  /** The statement as it stands is the one that was asked. */
  asked: boolean;
}

const MIN_ROWS = 6;
const MAX_ROWS = 22;
const command = navigator.userAgent.includes("Mac") ? "⌘" : "Ctrl";

/** The statement. Tab indents; Escape lets the next Tab leave, so that a keyboard is not caught in it. */
export function Editor({ area, sql, onChange, onRun, asked }: EditorProps) {
  const leaves = useRef(false);
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      onRun();
    } else if (event.key === "Tab" && !leaves.current && !event.metaKey && !event.ctrlKey && !event.altKey) {
      event.preventDefault();
      const { value, selectionStart, selectionEnd } = event.currentTarget;
      replaceText(event.currentTarget, (event.shiftKey ? outdent : indent)({ text: value, start: selectionStart, end: selectionEnd }));
    }
    if (event.key !== "Shift") leaves.current = event.key === "Escape";
  };
  return (
    <section className="panel sql-editor" aria-label="Statement">
      <textarea
        ref={area}
        className="sql-text"
        aria-label="SQL"
        aria-describedby="sql-keys"
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        rows={Math.min(MAX_ROWS, Math.max(MIN_ROWS, sql.split("\n").length + 1))}
        value={sql}
        onChange={(event) => {
          onChange(event.currentTarget.value);
        }}
        onKeyDown={onKeyDown}
      />
      <footer>
        <p id="sql-keys" className="small quiet">
          <kbd>{command}</kbd> <kbd>Enter</kbd> runs. <kbd>Tab</kbd> indents; <kbd>Esc</kbd>, then <kbd>Tab</kbd> leaves.
        </p>
        <Button size="xs" disabled={sql.trim() === ""} onClick={onRun}>
          {asked ? "Run again" : "Run"}
        </Button>
      </footer>
    </section>
  );
}
