import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";

import { type ApiError, asApiError } from "../api/client.ts";

export interface Doing<V, T> {
  run: (what: V, onDone?: (made: T) => void) => void;
  busy: boolean;
  error: ApiError | null;
  /** What the last one gave. */
  made: T | undefined;
  reset: () => void;
}

/** A change, after which what `stale` names is asked anew. */
export function useDo<V, T>(work: (what: V) => Promise<T>, stale: QueryKey): Doing<V, T> {
  const queries = useQueryClient();
  const mutation = useMutation({ mutationFn: work, onSuccess: () => queries.invalidateQueries({ queryKey: stale }) });
  return {
    run: (what, onDone) => {
      mutation.mutate(what, onDone === undefined ? {} : { onSuccess: onDone });
    },
    busy: mutation.isPending,
    error: mutation.error === null ? null : asApiError(mutation.error),
    made: mutation.data,
    reset: mutation.reset,
  };
}
