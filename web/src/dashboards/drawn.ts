import type { Tile } from "./board.ts";

/** What a drawing of an answer gets. */
export interface DrawnProps<T> {
  tile: Tile;
  answer: T;
  /** When the answer was made: what had not begun then says nothing. */
  answeredAt: number;
  /** Little room at the sides. */
  narrow: boolean;
}

/** Tiles of so few columns have little room. */
export const NARROW_COLUMNS = 5;

/** The buckets of time that a tile asks for; empty for none. */
export function intervalOf({ request }: Tile): string {
  const interval = request?.["interval"];
  return typeof interval === "string" ? interval : "";
}
