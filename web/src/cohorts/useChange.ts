import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type ApiError, asApiError, ask, change } from "../api/client.ts";
import type { Cohort } from "../api/types.ts";
import type { Session } from "../session.ts";

export type Change =
  | { what: "create"; body: { name: string; rule: unknown } | { name: string; persons: string[] } }
  | { what: "replace"; id: string; body: { name: string; version: number; rule?: unknown; persons?: string[] } }
  | { what: "delete"; id: string };

/** Changes of cohorts, made as who is logged in, or with an admin key that stays in the memory of this page. */
export interface Changes {
  adminKey: string;
  onAdminKey: (key: string) => void;
  /** Does it, and tells the id of the cohort. */
  make: (wanted: Change, onDone: (id: string) => void) => void;
  busy: boolean;
  error: ApiError | null;
  forgetError: () => void;
}

async function made(session: Session, wanted: Change): Promise<string> {
  if (wanted.what === "create") return (await ask<Cohort>(session, "cohorts", wanted.body)).id;
  const call = `cohorts/${encodeURIComponent(wanted.id)}`;
  await (wanted.what === "delete" ? change(session, "DELETE", call) : change(session, "PUT", call, wanted.body));
  return wanted.id;
}

export function useChange(session: Session): Changes {
  const queries = useQueryClient();
  const [adminKey, setAdminKey] = useState("");
  const mutation = useMutation({
    mutationFn: (wanted: Change) => made(session.key === null ? session : { ...session, key: adminKey.trim() }, wanted),
    onSuccess: (_, { what }) => {
      // Any answer may be of persons in this cohort. What is on show is asked anew, but not about a cohort that is gone.
      void queries.invalidateQueries({ refetchType: what === "delete" ? "none" : "active" });
      void queries.refetchQueries({ queryKey: ["cohorts", session.app], exact: true });
    },
  });
  return {
    adminKey,
    onAdminKey: setAdminKey,
    make: (wanted, onDone) => {
      mutation.mutate(wanted, { onSuccess: onDone });
    },
    busy: mutation.isPending,
    error: mutation.error === null ? null : asApiError(mutation.error),
    forgetError: mutation.reset,
  };
}
