import type { Value } from "../api/types.ts";
import { colourPlaces } from "../charts/palette.ts";
import { valueLabel } from "../format.ts";
import type { Edge, PathsAnswer } from "./answer.ts";

/** The folded rest of a place, as the API names it. */
export const OTHER = "$other";
/** As many names have a colour of their own. */
const MAX_COLOURS = 8;

/** A name at a place. */
export interface FlowNode {
  key: string;
  place: number;
  name: Value;
  label: string;
  other: boolean;
  /** Place in the palette; `null` for names that are too rare for a colour. */
  colour: number | null;
  sequences: number;
  /** Ways into it and out of it that the picture shows. */
  entering: number;
  leaving: number;
}

/** How often one node followed another. */
export interface FlowBand {
  from: string;
  to: string;
  sequences: number;
}

export interface Flow {
  /** From the first place to the last; nodes of each by how often, the rest last. */
  columns: FlowNode[][];
  bands: FlowBand[];
  /** True where the picture has less than the answer, or the answer less than there is. */
  folded: boolean;
}

const keyOf = (place: number, name: Value) => JSON.stringify([place, name]);

interface Counts {
  name: Value;
  entering: number;
  leaving: number;
  /** Paths of this one step, in which there is no way in or out. */
  alone: number;
}

/** What goes in and out of each name of a place. */
function countsByPlace(answer: PathsAnswer): Map<number, Map<string, Counts>> {
  const places = new Map(answer.places.map(({ place }) => [place, new Map<string, Counts>()]));
  const counts = (place: number, name: Value): Counts => {
    const names = places.get(place) ?? new Map<string, Counts>();
    places.set(place, names);
    const found = names.get(JSON.stringify(name)) ?? { name, entering: 0, leaving: 0, alone: 0 };
    names.set(JSON.stringify(name), found);
    return found;
  };
  for (const edge of answer.edges) {
    counts(edge.from_place, edge.from).leaving += edge.sequences;
    counts(edge.to_place, edge.to).entering += edge.sequences;
  }
  // Paths hang at their last step where they end with an event, else at their first.
  const hung = answer.semantics.anchor === "end" ? answer.places.at(-1) : answer.places[0];
  for (const { path, sequences } of answer.paths) {
    if (hung !== undefined && path !== OTHER && path.length === 1) counts(hung.place, path[0] ?? null).alone += sequences;
  }
  return places;
}

const sizeOf = ({ entering, leaving, alone }: Counts) => Math.max(entering, leaving) + alone;

/** The names of a place that are shown: the most frequent, and whether there is a rest. */
function shownNames(names: Map<string, Counts>, total: number, most: number): { shown: Counts[]; rest: boolean } {
  const ranked = [...names.values()].filter(({ name }) => name !== OTHER).sort((a, b) => sizeOf(b) - sizeOf(a) || (valueLabel(a.name) < valueLabel(b.name) ? -1 : 1));
  const shown = ranked.slice(0, most);
  const known = shown.reduce((sum, counts) => sum + sizeOf(counts), 0);
  return { shown, rest: ranked.length > most || names.has(JSON.stringify(OTHER)) || (known < total && shown.length !== 1) };
}

function bandsOf(edges: readonly Edge[], isShown: (key: string) => boolean): FlowBand[] {
  const nodeOf = (place: number, name: Value) => (isShown(keyOf(place, name)) ? keyOf(place, name) : keyOf(place, OTHER));
  const bands = new Map<string, FlowBand>();
  for (const edge of edges) {
    const [from, to] = [nodeOf(edge.from_place, edge.from), nodeOf(edge.to_place, edge.to)];
    const band = bands.get(`${from} ${to}`) ?? { from, to, sequences: 0 };
    band.sequences += edge.sequences;
    bands.set(`${from} ${to}`, band);
  }
  return [...bands.values()];
}

function sums(bands: readonly FlowBand[], end: "from" | "to"): Map<string, number> {
  const totals = new Map<string, number>();
  for (const band of bands) totals.set(band[end], (totals.get(band[end]) ?? 0) + band.sequences);
  return totals;
}

/** A colour for the most frequent names, the same at every place. */
function coloursOf(columns: readonly Counts[][]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const counts of columns.flat()) sizes.set(JSON.stringify(counts.name), (sizes.get(JSON.stringify(counts.name)) ?? 0) + sizeOf(counts));
  const names = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, MAX_COLOURS).map(([name]) => name).sort();
  return new Map(colourPlaces(names).map((place, at) => [names[at] ?? "", place]));
}

/** The picture of an answer with at most so many names at each place; the rest of a place is one node. */
export function flowOf(answer: PathsAnswer, mostNames: number): Flow {
  const byPlace = countsByPlace(answer);
  const places = answer.places.map(({ place, sequences }) => ({ place, total: sequences, ...shownNames(byPlace.get(place) ?? new Map<string, Counts>(), sequences, mostNames) }));
  const shownKeys = new Set(places.flatMap(({ place, shown }) => shown.map(({ name }) => keyOf(place, name))));
  const bands = bandsOf(answer.edges, (key) => shownKeys.has(key));
  const [entering, leaving] = [sums(bands, "to"), sums(bands, "from")];
  const colours = coloursOf(places.map(({ shown }) => shown));
  const columns = places.map(({ place, total, shown, rest }) => {
    const node = (name: Value, sequences: number): FlowNode => {
      const [key, other] = [keyOf(place, name), name === OTHER];
      const ways = { entering: entering.get(key) ?? 0, leaving: leaving.get(key) ?? 0 };
      return { key, place, name, label: valueLabel(name), other, colour: other ? null : (colours.get(JSON.stringify(name)) ?? null), sequences: Math.max(sequences, ways.entering, ways.leaving), ...ways };
    };
    const alone = shown.length === 1 && !rest;
    const nodes = shown.map((counts) => node(counts.name, alone ? total : sizeOf(counts)));
    const known = shown.reduce((sum, counts) => sum + sizeOf(counts), 0);
    return rest ? [...nodes, node(OTHER, total - known)] : nodes;
  });
  return { columns, bands, folded: places.some(({ rest }) => rest) };
}
