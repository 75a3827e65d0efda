import { ApiError } from "../api/client.ts";
import { Feed, type FeedState, type FeedWorld } from "../api/feed.ts";
import type { ServerEvent } from "../api/sse.ts";
import type { Annotation, Board } from "./board.ts";

/** What is known of the question of a tile. */
export interface TileAnswer {
  /** The last answer there was; null before the first. */
  answer: object | null;
  /** When it came to be so, in the server's clock. */
  asOf: number;
  /** Why there is no newer one. */
  error: ApiError | null;
}

/** Range and filters that hold, as the server was asked for them. */
export interface BoardScope {
  range?: string;
  from?: string;
  to?: string;
  filters: unknown;
}

/** A dashboard with its answers as they are pushed. */
export interface BoardState extends FeedState {
  board: (Board & { annotations?: Annotation[] }) | null;
  scope: BoardScope | null;
  /** By the place of the tile on the saved dashboard. */
  answers: ReadonlyMap<number, TileAnswer>;
  /** Since when the oldest answer is known to hold, in the server's clock. */
  asOf: number | null;
}

interface TileEvent {
  tiles: number[];
  as_of: string;
  answer?: object;
  status?: number;
  error?: { code: string; message: string; field?: string };
}

const NONE: ReadonlyMap<number, TileAnswer> = new Map();

/** A busy server will have an answer later: until then the last one stays. */
const stays = ({ status = 0 }: TileEvent) => status >= 500;

function tileAnswer(event: TileEvent, before: TileAnswer | undefined): TileAnswer {
  const asOf = Date.parse(event.as_of);
  if (event.error === undefined) return { answer: event.answer ?? null, asOf, error: null };
  const { code, message, field } = event.error;
  const error = new ApiError(event.status ?? 0, code, message, field);
  return { answer: stays(event) ? (before?.answer ?? null) : null, asOf: before?.asOf ?? asOf, error };
}

/** Follows the answers of one dashboard. */
export class BoardFeed extends Feed<BoardState> {
  constructor(world: FeedWorld, query: string) {
    super(world, query, { board: null, scope: null, answers: NONE, asOf: null, heardAt: null, phase: "connecting", error: null });
  }

  protected received(state: BoardState, events: readonly ServerEvent[]): BoardState {
    let next = state;
    const answers = new Map(state.answers);
    for (const { name, data } of events) {
      if (name === "dashboard") {
        const { dashboard, scope } = JSON.parse(data) as { dashboard: Board; scope: BoardScope };
        // The same tiles under the same scope keep their answers until newer ones come; of another version every place may mean another question.
        const sameTiles = next.board !== null && JSON.stringify(next.board.tiles) === JSON.stringify(dashboard.tiles);
        if (!sameTiles) answers.clear();
        next = { ...next, board: dashboard, scope };
      } else if (name === "tile") {
        const event = JSON.parse(data) as TileEvent;
        for (const place of event.tiles) answers.set(place, tileAnswer(event, answers.get(place)));
      } else if (name === "tick") {
        next = { ...next, asOf: Date.parse((JSON.parse(data) as { as_of: string }).as_of) };
      } else if (name === "end") {
        next = ended(next, JSON.parse(data) as { reason: string; message: string });
      }
    }
    return { ...next, answers };
  }

  protected isKnown({ board }: BoardState): boolean {
    return board !== null;
  }
}

/** The server stops: it will be back. A key that was revoked, a login that ended, or a dashboard that was deleted, will not. */
function ended(state: BoardState, { reason, message }: { reason: string; message: string }): BoardState {
  if (reason === "access_ended") return { ...state, phase: "refused", error: new ApiError(401, reason, message) };
  if (reason === "dashboard_deleted") return { ...state, phase: "ended", error: new ApiError(404, reason, message) };
  return state;
}
