import { useMutation, useQuery } from "@tanstack/react-query";

import { useAdminKey } from "../adminKey.ts";
import { type ApiError, asApiError, ask, askToDelete } from "../api/client.ts";
import type { Session } from "../session.ts";

export interface Receipt {
  deletion_id: string;
  person_sha256: string;
  linked_sha256: string[];
  state: "rewriting" | "blocked" | "finished";
  requested_at: string;
  later_events: "refuse" | "accept";
  rows: number;
  rejected_events: number;
  segments: number;
  segments_rewritten: number;
  days_to_recount: number;
  log_until: string | null;
  finished_at: string | null;
  blocked: string[];
  receipt_sha256: string | null;
}

/** True where a login decides and is not enough: only an owner deletes persons. */
export function wantsOwner(session: Session): boolean {
  return session.key === null && session.role !== "owner";
}

/** Who asks about deletions: the owner who is logged in, or a key that may. */
function administrator(session: Session, adminKey: string): Session {
  return session.key === null ? session : { ...session, key: adminKey.trim() };
}

export interface Deleting {
  adminKey: string;
  onAdminKey: (key: string) => void;
  run: (later: Receipt["later_events"], onDone: (receipt: Receipt) => void) => void;
  busy: boolean;
  error: ApiError | null;
  forgetError: () => void;
}

/** Deletes a person, as the owner who is logged in or with a key that may. */
export function useDeletion(session: Session, person: string): Deleting {
  const [adminKey, onAdminKey] = useAdminKey(session.app);
  const mutation = useMutation({
    mutationFn: (later: Receipt["later_events"]) => askToDelete<Receipt>(administrator(session, adminKey), `persons/${encodeURIComponent(person)}?later_events=${later}`),
  });
  return {
    adminKey,
    onAdminKey,
    run: (later, onDone) => {
      mutation.mutate(later, { onSuccess: onDone });
    },
    busy: mutation.isPending,
    error: mutation.error === null ? null : asApiError(mutation.error),
    forgetError: mutation.reset,
  };
}

/** A receipt is looked at this often until it is finished. */
const EVERY_MS = 3_000;

export interface AskedReceipt {
  receipt: Receipt | undefined;
  error: ApiError | null;
  asking: boolean;
  retry: () => void;
}

/** The receipt of a deletion, with the key that was typed last; asked anew until it is finished. It begins by itself where it is `wanted`, else by `retry`. */
export function useReceipt(session: Session, id: string, wanted: boolean): AskedReceipt {
  const [adminKey] = useAdminKey(session.app);
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ["deletions", session.app, id],
    queryFn: ({ signal }) => ask<Receipt>(administrator(session, adminKey), `deletions/${encodeURIComponent(id)}`, undefined, signal),
    enabled: (query) => wanted || query.state.data !== undefined,
    retry: false,
    refetchInterval: (query) => (query.state.data === undefined || query.state.data.state === "finished" ? false : EVERY_MS),
  });
  return { receipt: data, error: error === null ? null : asApiError(error), asking: isFetching, retry: () => void refetch() };
}
