/** Splits what came of a stream of server-sent events into their data and the unfinished rest; comments (heartbeats) give nothing. */
export function takeEvents(buffer: string): { data: string[]; rest: string } {
  const blocks = buffer.split(/\r?\n\r?\n/);
  const rest = blocks.pop() ?? "";
  const data = blocks
    .map((block) =>
      block
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).replace(/^ /, ""))
        .join("\n"),
    )
    .filter((text) => text !== "");
  return { data, rest };
}
