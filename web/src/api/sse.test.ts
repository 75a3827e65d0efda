import { expect, test } from "vitest";

import { takeEvents } from "./sse.ts";

test("a stream is cut into events wherever the network cut it", () => {
  const stream = ': hello\n\nevent: live\ndata: {"a":1}\n\ndata: {"a":\ndata: 2}\r\n\r\n:\n\ndata: {"a":3}\n\n';
  for (let cut = 0; cut <= stream.length; cut += 1) {
    const first = takeEvents(stream.slice(0, cut));
    const second = takeEvents(first.rest + stream.slice(cut));
    const events = [...first.events, ...second.events];
    expect(events.map(({ name, data }) => [name, (JSON.parse(data) as { a: number }).a])).toEqual([
      ["live", 1],
      ["message", 2],
      ["message", 3],
    ]);
    expect(second.rest).toBe("");
  }
});
