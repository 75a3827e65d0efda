import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { ask } from "../api/client.ts";
import type { Session } from "../session.ts";

/** An answer about one person is as old as this before it is asked for anew. */
const STALE_MS = 30_000;

/** Asks an analytics call about one person, whose answer never stands for that about another; `null` asks nothing. */
export function useAsk<T>(session: Session, call: string, body: Record<string, unknown> | null): UseQueryResult<T> {
  return useQuery({
    queryKey: [call, session.app, session.key, JSON.stringify(body)],
    queryFn: ({ signal }) => ask<T>(session, call, body ?? {}, signal),
    enabled: body !== null,
    staleTime: STALE_MS,
  });
}
