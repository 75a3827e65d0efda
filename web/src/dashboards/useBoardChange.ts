import { useMutation, useQueryClient } from "@tanstack/react-query";

import { useAdminKey } from "../adminKey.ts";
import { type ApiError, asApiError, askApp } from "../api/client.ts";
import type { Session } from "../session.ts";
import { type Board, type BoardContent, contentOf } from "./board.ts";

export type BoardChange = { what: "create"; content: BoardContent } | { what: "replace"; id: string; version: number; content: BoardContent } | { what: "delete"; id: string };

/** Who may change dashboards: whoever has an admin key of the app. All of this app's changes of dashboards go through here. */
export interface BoardChanges {
  adminKey: string;
  onAdminKey: (key: string) => void;
  /** Does it, and tells what is saved now; nothing of one that was deleted. */
  make: (wanted: BoardChange, onDone: (board: Board | null) => void) => void;
  /** As `make`, for those who wait. */
  makeAndWait: (wanted: BoardChange) => Promise<Board | null>;
  busy: boolean;
  error: ApiError | null;
  forgetError: () => void;
}

const path = (id: string) => `dashboards/${encodeURIComponent(id)}`;

async function made(session: Session, wanted: BoardChange): Promise<Board | null> {
  switch (wanted.what) {
    case "create":
      return askApp<Board>(session, "POST", "dashboards", contentOf(wanted.content));
    case "replace":
      return askApp<Board>(session, "PUT", path(wanted.id), { ...contentOf(wanted.content), version: wanted.version });
    case "delete":
      await askApp(session, "DELETE", path(wanted.id));
      return null;
  }
}

export function useBoardChange(session: Session): BoardChanges {
  const queries = useQueryClient();
  const [adminKey, onAdminKey] = useAdminKey(session.app);
  const mutation = useMutation({
    mutationFn: (wanted: BoardChange) => made(session.key === null ? session : { ...session, key: adminKey.trim() }, wanted),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["dashboards", session.app] }),
  });
  return {
    adminKey,
    onAdminKey,
    make: (wanted, onDone) => {
      mutation.mutate(wanted, { onSuccess: onDone });
    },
    makeAndWait: mutation.mutateAsync,
    busy: mutation.isPending,
    error: mutation.error === null ? null : asApiError(mutation.error),
    forgetError: mutation.reset,
  };
}
