import type { FeedState } from "../api/feed.ts";
import { age } from "../format.ts";
import { useNow } from "../ui/useNow.ts";

/** An age below this is the rhythm of the windows and not worth a word. */
const FRESH_MS = 8_000;

const WORDS = { connecting: "Connecting", live: "Live", stale: "Reconnecting", refused: "No access", ended: "Ended" };
const SHAPES = { connecting: "waiting", live: "live", stale: "stale", refused: "off", ended: "off" };

/** Whether numbers move, and how old they are. */
export function LiveDot({ phase, heardAt }: Pick<FeedState, "phase" | "heardAt">) {
  const now = useNow(1_000);
  const old = heardAt === null ? null : now - heardAt;
  const tellsAge = old !== null && (phase === "stale" || old > FRESH_MS);
  return (
    <span className="dot" data-state={SHAPES[phase]} role="status" aria-live={phase === "live" ? "off" : "polite"}>
      <span>
        {WORDS[phase]}
        {tellsAge && <span aria-live="off"> · {age(old)}</span>}
      </span>
    </span>
  );
}
