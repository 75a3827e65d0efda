import { useInfiniteQuery } from "@tanstack/react-query";

import { type ApiError, asApiError, ask } from "../api/client.ts";
import type { Session } from "../session.ts";

/** A page of a list of persons, and where the next begins. */
export interface PersonsPage<P> {
  persons: P[];
  /** Of all pages. */
  count: number;
  next_cursor: string | null;
}

const PAGE = 50;
/** As many as the API gives at once. */
const LARGEST_PAGE = 1_000;

export interface Pages<P> {
  persons: P[];
  /** Null until the first page is there. */
  count: number | null;
  error: ApiError | null;
  loading: boolean;
  hasMore: boolean;
  more: () => void;
  retry: () => void;
}

/** The persons of a call, page by page as they are wanted. */
export function usePages<P>(session: Session, call: string, request: Record<string, unknown>): Pages<P> {
  const pages = useInfiniteQuery({
    queryKey: [call, session.app, JSON.stringify(request)],
    queryFn: ({ pageParam, signal }) => ask<PersonsPage<P>>(session, call, { ...request, limit: PAGE, ...(pageParam !== null && { cursor: pageParam }) }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
  return {
    persons: pages.data?.pages.flatMap((page) => page.persons) ?? [],
    count: pages.data?.pages[0]?.count ?? null,
    error: pages.error === null ? null : asApiError(pages.error),
    loading: pages.isFetching,
    hasMore: pages.hasNextPage,
    more: () => void pages.fetchNextPage(),
    retry: () => void pages.refetch(),
  };
}

/** Every id of a list, for something that takes them all. */
export async function allPersons(session: Session, call: string, request: Record<string, unknown>): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: PersonsPage<{ person: string }> = await ask(session, call, { ...request, limit: LARGEST_PAGE, ...(cursor !== null && { cursor }) });
    ids.push(...page.persons.map(({ person }) => person));
    cursor = page.next_cursor;
    if (cursor === null) return ids;
  }
}
