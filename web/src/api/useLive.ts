import { useEffect, useState, useSyncExternalStore } from "react";

import { type Session, credentials } from "../session.ts";
import { analyticsPath } from "./client.ts";
import { LiveFeed, type LiveState, type LiveWorld } from "./liveFeed.ts";

function browserWorld(session: Session): LiveWorld {
  const headers = credentials(session);
  return {
    open: (query, signal) => fetch(analyticsPath(session, `realtime/stream?${query}`), { headers, signal, cache: "no-store" }),
    now: () => Date.now(),
    random: () => Math.random(),
    setTimer: (run, ms) => window.setTimeout(run, ms),
    clearTimer: (timer) => {
      window.clearTimeout(timer);
    },
  };
}

/** The app's live numbers, for as long as the component lives with one session; the connection is given up while the tab is hidden. */
export function useLive(session: Session, query: string): LiveState {
  const [feed] = useState(() => new LiveFeed(browserWorld(session), query));
  useEffect(() => {
    feed.askFor(query);
  }, [feed, query]);
  useEffect(() => {
    const follow = () => {
      if (document.hidden) feed.pause();
      else feed.resume();
    };
    const online = () => {
      feed.resume();
    };
    follow();
    document.addEventListener("visibilitychange", follow);
    window.addEventListener("online", online);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      window.removeEventListener("online", online);
      feed.pause();
    };
  }, [feed]);
  return useSyncExternalStore(feed.subscribe, feed.snapshot);
}
