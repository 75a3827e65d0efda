import { useQuery } from "@tanstack/react-query";

import { type ApiError, asApiError, askApp } from "../api/client.ts";
import type { Session } from "../session.ts";
import type { Board } from "./board.ts";

/** The app's dashboards by name; nothing until they are there. */
export function useBoards(session: Session): { boards: Board[] | undefined; error: ApiError | null; retry: () => void } {
  const { data, error, refetch } = useQuery({
    queryKey: ["dashboards", session.app, session.key],
    queryFn: async ({ signal }) => (await askApp<{ dashboards: Board[] }>(session, "GET", "dashboards", undefined, signal)).dashboards,
  });
  return { boards: data, error: error === null ? null : asApiError(error), retry: () => void refetch() };
}
