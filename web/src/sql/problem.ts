/** Where a statement cannot be read, counted from 1 as the server counts. */
export interface Position {
  line: number;
  column: number;
}

/** Takes the position out of a message such as `Expected: ... at Line: 2, Column: 15`. */
export function positionIn(message: string): Position | null {
  const [, line, column] = /\bLine: (\d+), Column: (\d+)/.exec(message) ?? [];
  return line === undefined || column === undefined ? null : { line: Number(line), column: Number(column) };
}

/** The place of a position in the text, kept inside the text. */
export function offsetOf(sql: string, { line, column }: Position): number {
  const before = sql.split("\n").slice(0, line - 1).reduce((length, text) => length + text.length + 1, 0);
  return Math.min(sql.length, before + column - 1);
}

/** The line of a position, cut in two where the problem is. */
export function lineAt(sql: string, { line, column }: Position): { before: string; after: string } {
  const text = sql.split("\n")[line - 1] ?? "";
  return { before: text.slice(0, column - 1), after: text.slice(column - 1) };
}
