import type { Place } from "./board.ts";

export const COLUMNS = 12;
export const MAX_HEIGHT = 24;
/** A tile of less cannot be read. */
export const MIN_WIDTH = 2;

const overlap = (a: Place, b: Place) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** A place inside of the columns. */
export function clamped({ x, y, w, h }: Place): Place {
  const width = Math.min(COLUMNS, Math.max(MIN_WIDTH, w));
  return { x: Math.min(COLUMNS - width, Math.max(0, x)), y: Math.max(0, y), w: width, h: Math.min(MAX_HEIGHT, Math.max(1, h)) };
}

/** Where a tile comes to rest: down out of the way of others, then up as far as nothing is in its way. */
function settled(place: Place, others: readonly Place[]): Place {
  const free = (y: number) => !others.some((other) => overlap({ ...place, y }, other));
  let { y } = place;
  while (!free(y)) y += 1;
  while (y > 0 && free(y - 1)) y -= 1;
  return { ...place, y };
}

/** Tiles one after the other from the top, no two over one another and no row left empty. Their order in the list stays; `first` goes before others at its height. */
export function compacted<T extends Place>(tiles: readonly T[], first = -1): T[] {
  const order = tiles.map((_, at) => at);
  const before = (a: number, b: number) => {
    const [one, other] = [tiles[a], tiles[b]];
    if (one === undefined || other === undefined) return a - b;
    return one.y - other.y || Number(b === first) - Number(a === first) || one.x - other.x || a - b;
  };
  order.sort(before);
  const placed: Place[] = [];
  const result = [...tiles];
  for (const at of order) {
    const tile = tiles[at];
    if (tile === undefined) continue;
    const place = settled(tile, placed);
    placed.push(place);
    result[at] = { ...tile, y: place.y };
  }
  return result;
}

/** The tiles with one of them put somewhere; others make room. */
export function put<T extends Place>(tiles: readonly T[], at: number, place: Place): T[] {
  const wanted = clamped(place);
  return compacted(tiles.map((tile, other) => (other === at ? { ...tile, ...wanted } : tile)), at);
}

/** The tiles with one of them a step further or larger; a step up or down goes as far as it takes to pass what is in the way. */
export function nudged<T extends Place>(tiles: readonly T[], at: number, by: Partial<Place>): T[] {
  const tile = tiles[at];
  if (tile === undefined) return [...tiles];
  const far = by.y === undefined ? 1 : Math.max(1, ...tiles.map(({ y, h }) => y + h));
  for (let steps = 1; steps <= far; steps += 1) {
    const next = put(tiles, at, { x: tile.x + (by.x ?? 0), y: tile.y + (by.y ?? 0) * steps, w: tile.w + (by.w ?? 0), h: tile.h + (by.h ?? 0) });
    if (JSON.stringify(next) !== JSON.stringify(tiles)) return next;
  }
  return [...tiles];
}

/** The tiles with one more, in the first gap from the top that has room for it. */
export function added<T extends Place>(tiles: readonly T[], tile: T): T[] {
  const bottom = Math.max(0, ...tiles.map(({ y, h }) => y + h));
  for (let y = 0; y <= bottom; y += 1) {
    for (let x = 0; x + tile.w <= COLUMNS; x += 1) {
      const place = { ...tile, x, y };
      if (!tiles.some((other) => overlap(place, other))) return compacted([...tiles, place]);
    }
  }
  return compacted([...tiles, { ...tile, x: 0, y: bottom }]);
}

/** Places of tiles in the order in which one reads them. */
export function readingOrder(tiles: readonly Place[]): number[] {
  return tiles.map((_, at) => at).sort((a, b) => (tiles[a]?.y ?? 0) - (tiles[b]?.y ?? 0) || (tiles[a]?.x ?? 0) - (tiles[b]?.x ?? 0));
}
