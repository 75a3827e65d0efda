/** Where a tile lies: columns from the left, rows from the top. */
export interface Place {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** A text, or a question with the way in which its answer is drawn. */
export interface Tile extends Place {
  title?: string;
  text?: string;
  call?: string;
  request?: Record<string, unknown>;
  view?: string;
  /** The page of this app on which the question can be edited. */
  link?: string;
}

/** Something that happened, marked on charts over time. */
export interface Annotation {
  time: string;
  text: string;
}

/** What is saved of a dashboard, but for what the server keeps of it. */
export interface BoardContent {
  name: string;
  description?: string | null;
  range?: string | null;
  filters?: unknown;
  annotations?: Annotation[];
  tiles: Tile[];
}

export interface Board extends BoardContent {
  id: string;
  version: number;
  updated_at: string;
}

export const MAX_TILES = 50;
export const MAX_TITLE = 100;

/** What stands above a tile that has no title. */
const NAMES: Record<string, string> = {
  query: "Numbers",
  funnel: "Funnel",
  retention: "Retention",
  paths: "Paths",
  sessions: "Sessions",
  active_users: "Active users",
  lifecycle: "Lifecycle",
  stickiness: "Stickiness",
  sql: "SQL",
};

export function titleOf(tile: Tile): string {
  return tile.title ?? (tile.call === undefined ? "" : (NAMES[tile.call] ?? tile.call));
}

/** What the server takes: fields that a new or changed dashboard has. */
export function contentOf({ name, description, range, filters, annotations, tiles }: BoardContent): BoardContent {
  return {
    name,
    tiles,
    ...(typeof description === "string" && { description }),
    ...(typeof range === "string" && { range }),
    ...(filters !== undefined && filters !== null && { filters }),
    ...(annotations !== undefined && { annotations }),
  };
}

/** A dashboard out of a file: whether its tiles are right is for the server to say. */
export function readContent(text: string): BoardContent | null {
  try {
    const value = JSON.parse(text) as Partial<BoardContent> | null;
    if (typeof value !== "object" || value === null || typeof value.name !== "string" || !Array.isArray(value.tiles)) return null;
    return contentOf(value as BoardContent);
  } catch {
    return null;
  }
}
