import type { Session } from "../session.ts";
import { analyticsPath } from "./client.ts";
import { LiveFeed, type LiveState } from "./liveFeed.ts";
import { browserWorld, useFeed } from "./useFeed.ts";

/** The app's live numbers, for as long as the component lives with one session; the connection is given up while the tab is hidden. */
export function useLive(session: Session, query: string): LiveState {
  return useFeed(() => new LiveFeed(browserWorld(session, (asked) => analyticsPath(session, `realtime/stream?${asked}`)), query), query);
}
