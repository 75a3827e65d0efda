import { useQuery } from "@tanstack/react-query";

import { type ApiError, asApiError, ask } from "../api/client.ts";
import type { Cohort } from "../api/types.ts";
import type { Session } from "../session.ts";

/** A cohort with its rule and how many are in it now. */
export interface SizedCohort extends Cohort {
  rule: unknown;
  size: number;
  evaluated_at: string;
  complete: boolean;
  missing?: string[];
}

/** A size is as old as this before it is asked for anew. */
const SIZE_STALE_MS = 30_000;

export function useCohort(session: Session, id: string | null): { cohort: SizedCohort | undefined; error: ApiError | null; retry: () => void } {
  const { data, error, refetch } = useQuery({
    queryKey: ["cohorts", session.app, id],
    queryFn: ({ signal }) => ask<SizedCohort>(session, `cohorts/${encodeURIComponent(id ?? "")}`, undefined, signal),
    enabled: id !== null,
    staleTime: SIZE_STALE_MS,
  });
  return { cohort: data, error: error === null ? null : asApiError(error), retry: () => void refetch() };
}
