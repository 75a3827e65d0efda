import { Feed, type FeedState, type FeedWorld } from "./feed.ts";
import type { ServerEvent } from "./sse.ts";
import type { Live } from "./types.ts";

/** What a page knows of an app's last minutes. */
export interface LiveState extends FeedState {
  live: Live | null;
}

/** Follows the live stream of one app. */
export class LiveFeed extends Feed<LiveState> {
  constructor(world: FeedWorld, query: string) {
    super(world, query, { live: null, heardAt: null, phase: "connecting", error: null });
  }

  /** Each state is whole: the newest is all there is to know. */
  protected received(state: LiveState, events: readonly ServerEvent[]): LiveState {
    const newest = events.at(-1);
    return newest === undefined ? state : { ...state, live: JSON.parse(newest.data) as Live };
  }

  protected isKnown({ live }: LiveState): boolean {
    return live !== null;
  }
}
