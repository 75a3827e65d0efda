/** Deeper values are shown as they came: their indentation would be longer than their text. */
const MAX_DEPTH = 40;

const isSpace = (letter: string) => letter === " " || letter === "\n" || letter === "\r" || letter === "\t";

/** Where the string that begins at `start` ends. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** JSON in lines, each name and number written as it came: reading and writing it anew would round numbers. Null for other text. */
export function jsonLines(text: string): string[] | null {
  if (parsed(text) === undefined) return null;
  const lines = [""];
  let depth = 0;
  let before = "";
  const add = (part: string) => {
    lines.push((lines.pop() ?? "") + part);
  };
  const breakLine = () => {
    lines.push("  ".repeat(depth));
  };
  for (let at = 0; at < text.length; ) {
    const letter = text[at] ?? "";
    const end = letter === '"' ? endOfString(text, at) : at + 1;
    const opens = letter === "{" || letter === "[";
    const closes = letter === "}" || letter === "]";
    const isEmpty = closes && (before === "{" || before === "[");
    if (opens) depth += 1;
    if (closes) depth -= 1;
    if (depth > MAX_DEPTH) return null;
    if (isEmpty) lines.pop();
    else if (closes) breakLine();
    if (!isSpace(letter)) {
      add(letter === ":" ? ": " : text.slice(at, end));
      before = letter;
    }
    if (opens || letter === ",") breakLine();
    at = end;
  }
  return lines;
}
