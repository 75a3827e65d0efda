import type { Selected } from "./indent.ts";

/** Puts a text with its selection into a text area, as one step that the browser can undo. */
export function replaceText(area: HTMLTextAreaElement, { text, start, end }: Selected): void {
  area.focus();
  area.setSelectionRange(0, area.value.length);
  // Nothing else that changes a text area leaves undo in order.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  document.execCommand("insertText", false, text);
  area.setSelectionRange(start, end);
}

/** Puts a text where the cursor is, in place of what is selected. */
export function insertText(area: HTMLTextAreaElement, text: string): void {
  area.focus();
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  document.execCommand("insertText", false, text);
}
