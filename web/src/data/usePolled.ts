import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, asApiError, ask } from "../api/client.ts";
import type { Asked } from "../builder/useAnswer.ts";
import type { Session } from "../session.ts";

interface Polled<T> {
  /** The call with what is asked, so that equal ones are one; null asks nothing. */
  call: string | null;
  /** The body of a POST. */
  body?: unknown;
  /** The query string of a GET, made when it is sent: ranges that end now move. */
  parameters?: () => string;
  /** Names what is asked where `parameters` move. */
  key?: string;
  /** Milliseconds until it is made again, where the answer matters by that. */
  everyMs: number | ((answer: T | undefined) => number);
}

/** A call that is made again and again while the page is looked at. */
export function usePolled<T>(session: Session, { call, body, parameters, key = "", everyMs }: Polled<T>): Asked<T> {
  const queries = useQueryClient();
  const queryKey = ["polled", call, session.app, session.key, key, JSON.stringify(body ?? null)];
  const result = useQuery<T, unknown>({
    queryKey,
    queryFn: ({ signal }) => ask<T>(session, `${call ?? ""}${parameters?.() ?? ""}`, body, signal),
    enabled: call !== null,
    // A key that was refused will be refused again.
    refetchInterval: ({ state }) => (state.error !== null && asApiError(state.error).refused ? false : typeof everyMs === "number" ? everyMs : everyMs(state.data)),
    placeholderData: keepPreviousData,
  });
  const unanswered = result.data === undefined || result.isPlaceholderData;
  const error: ApiError | null = result.error === null ? null : asApiError(result.error);
  return {
    answer: result.data,
    answeredAt: result.dataUpdatedAt,
    error,
    stale: result.isPlaceholderData,
    // The page stays as it is while it is only brought up to date.
    asking: result.isFetching && unanswered,
    stopped: call !== null && unanswered && error === null && !result.isFetching,
    retry: () => void result.refetch(),
    cancel: () => void queries.cancelQueries({ queryKey }),
  };
}
