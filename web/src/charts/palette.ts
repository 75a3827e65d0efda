/**
 * Eight colours for series, searched for the largest distance between any two (grey included) as seen with normal sight and with
 * each kind of colour blindness, at a contrast of 3 to the surface; `palette.test.ts` measures both.
 */
export const SERIES_COLOURS = {
  light: ["#204686", "#e06e62", "#05715b", "#7b195f", "#2d80d8", "#9a7701", "#7b4fae", "#953b0e"],
  dark: ["#4b91ed", "#cd5957", "#6ac089", "#ffb3c7", "#81deff", "#e5dc67", "#baa2fe", "#df9640"],
} as const;

/** The folded rest is never one of the eight. */
export const OTHER_COLOUR = { light: "#8b8f99", dark: "#7d818c" } as const;

export type Scheme = keyof typeof SERIES_COLOURS;

/** FNV-1a, which spreads similar names well enough for eight places. */
function hash(name: string): number {
  let value = 0x811c9dc5;
  for (const character of name) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return value >>> 0;
}

/**
 * A place of the palette for each name. A name's place comes from the name, so it keeps its colour on every chart and after a reload;
 * where two of a chart would share one, the later moves on to the next free place. From the ninth name on places repeat.
 */
export function colourPlaces(names: readonly string[]): number[] {
  const size = SERIES_COLOURS.light.length;
  const taken = new Set<number>();
  return names.map((name) => {
    if (taken.size === size) taken.clear();
    let place = hash(name) % size;
    while (taken.has(place)) place = (place + 1) % size;
    taken.add(place);
    return place;
  });
}

/** Places by name, whatever the order of size is today; the rest has none. */
export function coloured<T extends { name: string; other: boolean; place: number | null }>(series: readonly T[]): T[] {
  const names = series.filter((one) => !one.other).map((one) => one.name).sort();
  const places = new Map(colourPlaces(names).map((place, at) => [names[at], place]));
  return series.map((one) => ({ ...one, place: one.other ? null : (places.get(one.name) ?? null) }));
}
