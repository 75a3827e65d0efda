import { useEffect, useState, useSyncExternalStore } from "react";

import { type Session, credentials } from "../session.ts";
import type { Feed, FeedState, FeedWorld } from "./feed.ts";

/** The stream at the path that `pathOf` makes of a query. */
export function browserWorld(session: Session, pathOf: (query: string) => string): FeedWorld {
  const headers = credentials(session);
  return {
    open: (query, signal) => fetch(pathOf(query), { headers, signal, cache: "no-store" }),
    now: () => Date.now(),
    random: () => Math.random(),
    setTimer: (run, ms) => window.setTimeout(run, ms),
    clearTimer: (timer) => {
      window.clearTimeout(timer);
    },
  };
}

/** Follows a feed for as long as the component lives; the connection is given up while the tab is hidden. */
export function useFeed<S extends FeedState>(make: () => Feed<S>, query: string): S {
  const [feed] = useState(make);
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
