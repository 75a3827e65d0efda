const INDENT = "  ";

/** A text with a selection, as a text area has it. */
export interface Selected {
  text: string;
  start: number;
  end: number;
}

/** The whole lines that a selection touches, with what stands before and behind them. */
function touched({ text, start, end }: Selected): { before: string; lines: string[]; behind: string } {
  const from = text.lastIndexOf("\n", start - 1) + 1;
  const next = text.indexOf("\n", end);
  const to = next === -1 ? text.length : next;
  return { before: text.slice(0, from), lines: text.slice(from, to).split("\n"), behind: text.slice(to) };
}

/** Tab: two spaces at the cursor, or in front of every line that the selection touches. */
export function indent(selected: Selected): Selected {
  const { text, start, end } = selected;
  if (start === end) return { text: text.slice(0, start) + INDENT + text.slice(end), start: start + INDENT.length, end: end + INDENT.length };
  const { before, lines, behind } = touched(selected);
  return { text: before + lines.map((line) => INDENT + line).join("\n") + behind, start: start + INDENT.length, end: end + lines.length * INDENT.length };
}

/** Shift and Tab: up to two spaces fewer in front of every line that is touched. */
export function outdent(selected: Selected): Selected {
  const { before, lines, behind } = touched(selected);
  const taken = lines.map((line) => Math.min(INDENT.length, line.length - line.trimStart().length));
  const moved = lines.map((line, at) => line.slice(taken[at]));
  const start = Math.max(before.length, selected.start - (taken[0] ?? 0));
  const end = Math.max(start, selected.end - taken.reduce((sum, spaces) => sum + spaces, 0));
  return { text: before + moved.join("\n") + behind, start, end };
}
