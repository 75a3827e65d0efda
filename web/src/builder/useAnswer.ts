import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { type ApiError, asApiError, ask } from "../api/client.ts";
import type { Session } from "../session.ts";

/** Edits that follow one another faster than this are asked as one. */
const DEBOUNCE_MS = 200;

function useDebounced<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => {
      setSettled(value);
    }, DEBOUNCE_MS);
    return () => {
      window.clearTimeout(timer);
    };
  }, [value]);
  return settled;
}

/** What is shown of a question: the answer, or the one before it while it is on its way. */
export interface Asked<T> {
  answer: T | undefined;
  /** When it came, in the browser's clock. */
  answeredAt: number;
  error: ApiError | null;
  /** The answer belongs to an earlier question. */
  stale: boolean;
  asking: boolean;
  /** Somebody stopped it: what is shown, if anything, is of an earlier question. */
  stopped: boolean;
  retry: () => void;
  cancel: () => void;
}

/** Asks an analytics call, with the request as JSON text so that equal ones are one; `null` asks nothing. */
export function useAnswer<T>(session: Session, call: string, request: string | null): Asked<T> {
  const queries = useQueryClient();
  const settled = useDebounced(request);
  const queryKey = [call, session.app, session.key, settled];
  const result = useQuery({
    queryKey,
    // With the time it came: an answer that stays while the next one comes is still of then.
    queryFn: async ({ signal }) => ({ answer: await ask<T>(session, call, JSON.parse(settled ?? "{}") as unknown, signal), at: Date.now() }),
    enabled: settled !== null,
    placeholderData: keepPreviousData,
  });
  const unanswered = result.data === undefined || result.isPlaceholderData;
  return {
    answer: result.data?.answer,
    answeredAt: result.data?.at ?? 0,
    error: result.error === null ? null : asApiError(result.error),
    stale: result.isPlaceholderData || request !== settled,
    asking: result.isFetching,
    stopped: settled !== null && request === settled && unanswered && result.error === null && !result.isFetching,
    retry: () => void result.refetch(),
    cancel: () => void queries.cancelQueries({ queryKey }),
  };
}
