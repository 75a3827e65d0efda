import { analyticsPath } from "../api/client.ts";
import type { Session } from "../session.ts";

/** A call as a command for a shell. The key stays out of it: it would end in a history or a chat. */
export function curl(origin: string, session: Session, call: string, request: string): string {
  const body = JSON.stringify(JSON.parse(request), null, 2).replaceAll("'", "'\\''");
  return `curl ${origin}${analyticsPath(session, call)} \\
  -H "Authorization: Bearer $THRONG_READ_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${body}'`;
}

export const EXAMPLE_EVENT = '{"name":"page_view","user_id":"U1","properties":{"url":"/home"}}';

/** A command that sends events, with a place for the write key. `events` is JSON text. */
export function sendCommand(origin: string, events: string): string {
  return `curl ${origin}/api/v1/events/batch \\
  -H "Authorization: Bearer wk_YOUR_WRITE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"events":[${events.replaceAll("'", "'\\''")}]}'`;
}
