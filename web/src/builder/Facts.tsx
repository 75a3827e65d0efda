import { Button } from "@mantine/core";
import { useState } from "react";

import type { AnswerFacts } from "../api/types.ts";
import { duration, fullNumber, shortNumber } from "../format.ts";
import { useNow } from "../ui/useNow.ts";

/** Answers that take longer than this show how long, and can be stopped. */
const SLOW_MS = 1_000;

/** How an answer came about: how exact, from how much, how fast. Some answers have no range and no zone. */
export function Facts({ answer }: { answer: Omit<AnswerFacts, "range" | "timezone"> & { timezone?: string } }) {
  const error = ((answer.relative_standard_error ?? 0) * 100).toFixed(1);
  return (
    <p className="facts small quiet tabular">
      <span>{answer.exact ? "Exact" : `About, ±${error}%`}</span>
      {!answer.complete && <span className="facts-warning">Incomplete: {(answer.missing ?? []).join("; ")}</span>}
      <span title={fullNumber(answer.scanned_events)}>{shortNumber(answer.scanned_events)} events scanned</span>
      <span>{answer.cached ? "From cache" : duration(answer.query_time_ms)}</span>
      {answer.timezone !== undefined && <span>{answer.timezone}</span>}
    </p>
  );
}

/** The time since a slow question was asked, and the way to stop it. Mounted when asking begins. */
export function Waiting({ onCancel }: { onCancel: () => void }) {
  const now = useNow(100);
  const [started] = useState(now);
  if (now - started < SLOW_MS) return null;
  return (
    <span className="waiting small tabular" role="status">
      Asking for {duration(now - started)}
      <Button variant="default" size="compact-xs" onClick={onCancel}>
        Stop
      </Button>
    </span>
  );
}
