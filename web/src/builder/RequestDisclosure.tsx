import type { Session } from "../session.ts";
import { Snippet } from "../ui/Snippet.tsx";
import { curl } from "./curl.ts";

/** What was asked, to run or to keep elsewhere. */
export function RequestDisclosure({ session, call, request }: { session: Session; call: string; request: string }) {
  return (
    <details className="disclosure small">
      <summary>Show the request</summary>
      <Snippet text={curl(window.location.origin, session, call, request)} label="The request as a command" />
    </details>
  );
}
