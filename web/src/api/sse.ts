/** One event of a stream. */
export interface ServerEvent {
  name: string;
  data: string;
}

/** Splits what came of a stream of server-sent events into its events and the unfinished rest; comments (heartbeats) give nothing. */
export function takeEvents(buffer: string): { events: ServerEvent[]; rest: string } {
  const blocks = buffer.split(/\r?\n\r?\n/);
  const rest = blocks.pop() ?? "";
  const events = blocks
    .map((block) => {
      const lines = block.split(/\r?\n/);
      const values = (field: string) => lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).replace(/^ /, ""));
      return { name: values("event").at(-1) ?? "message", data: values("data").join("\n") };
    })
    .filter(({ data }) => data !== "");
  return { events, rest };
}
