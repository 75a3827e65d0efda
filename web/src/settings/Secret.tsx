import { Snippet } from "../ui/Snippet.tsx";
import type { KeyKind } from "./calls.ts";

/** What each kind of key is for. */
export const KEY_IS_FOR: Record<KeyKind, string> = {
  write: "Sends events. It is public: it may stand in a web page.",
  read: "Asks questions. Keep it secret.",
  admin: "Changes settings and keys, saves cohorts, and deletes persons. Keep it secret.",
};

function firstEvent(secret: string): string {
  return `curl ${window.location.origin}/api/v1/events/batch \\
  -H "Authorization: Bearer ${secret}" \\
  -H "Content-Type: application/json" \\
  -d '{"events": [{"name": "page_view", "user_id": "U1"}]}'`;
}

/** A key as it is shown once, with what to do with it. */
export function Secret({ kind, secret }: { kind: KeyKind; secret: string }) {
  return (
    <div className="settings-secret">
      <h3>The {kind} key</h3>
      <p className="small quiet">{KEY_IS_FOR[kind]} It is shown this once.</p>
      <Snippet label={`The ${kind} key`} text={secret} />
      {kind === "write" && <Snippet label="An event to try it with" text={firstEvent(secret)} />}
    </div>
  );
}
