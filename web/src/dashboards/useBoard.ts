import { appPath } from "../api/client.ts";
import { browserWorld, useFeed } from "../api/useFeed.ts";
import type { Session } from "../session.ts";
import { BoardFeed, type BoardState } from "./boardFeed.ts";

/** A dashboard with its answers as they change, for as long as the component lives with one dashboard. */
export function useBoard(session: Session, id: string, query: string): BoardState {
  const path = appPath(session, `dashboards/${encodeURIComponent(id)}/stream`);
  return useFeed(() => new BoardFeed(browserWorld(session, (asked) => (asked === "" ? path : `${path}?${asked}`)), query), query);
}
