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
