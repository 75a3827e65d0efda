import type { Flow, FlowBand, FlowNode } from "./flow.ts";

/** All of the paths, in pixels of height. */
const WHOLE_PX = 320;
/** A node is at least as high as the two lines that name it. */
const ROW_PX = 40;
const GAP_PX = 8;
/** A node that is there can be seen. */
const LEAST_PX = 2;

export interface PlacedNode extends FlowNode {
  column: number;
  top: number;
  /** Of its bar; the room it takes is at least a row. */
  height: number;
}

export interface PlacedBand extends FlowBand {
  column: number;
  /** Tops at its beginning and its end. */
  start: number;
  end: number;
  thickness: number;
}

export interface Layout {
  nodes: PlacedNode[];
  bands: PlacedBand[];
  columns: number;
  height: number;
}

/** Gives nodes and bands their places: columns from left to right, bands in the order of what they lead to. */
export function layoutOf({ columns, bands }: Flow): Layout {
  const largest = Math.max(1, ...columns.map((nodes) => nodes.reduce((sum, node) => sum + node.sequences, 0)));
  const px = (sequences: number) => (sequences / largest) * WHOLE_PX;
  let height = 0;
  const nodes = columns.flatMap((column, at) => {
    let top = 0;
    return column.map((node): PlacedNode => {
      const placed = { ...node, column: at, top, height: Math.max(LEAST_PX, px(node.sequences)) };
      top += Math.max(ROW_PX, placed.height) + GAP_PX;
      height = Math.max(height, top - GAP_PX);
      return placed;
    });
  });
  return { nodes, bands: placedBands(bands, nodes, px), columns: columns.length, height };
}

function placedBands(bands: readonly FlowBand[], nodes: readonly PlacedNode[], px: (sequences: number) => number): PlacedBand[] {
  const byKey = new Map(nodes.map((node) => [node.key, node]));
  const topOf = (key: string) => byKey.get(key)?.top ?? 0;
  const used = { from: new Map<string, number>(), to: new Map<string, number>() };
  const take = (side: "from" | "to", key: string, thickness: number): number => {
    const before = used[side].get(key) ?? 0;
    used[side].set(key, before + thickness);
    return topOf(key) + before;
  };
  const ordered = [...bands].sort((a, b) => topOf(a.from) - topOf(b.from) || topOf(a.to) - topOf(b.to));
  return ordered.map((band) => {
    const thickness = px(band.sequences);
    return { ...band, column: byKey.get(band.from)?.column ?? 0, start: take("from", band.from, thickness), end: take("to", band.to, thickness), thickness };
  });
}

/** The outline of a band, in columns across and pixels down. */
export function bandPath({ column, start, end, thickness }: PlacedBand): string {
  const [left, middle, right] = [column, column + 0.5, column + 1];
  const y = (value: number) => value.toFixed(2);
  return [
    `M${left} ${y(start)}`,
    `C${middle} ${y(start)} ${middle} ${y(end)} ${right} ${y(end)}`,
    `L${right} ${y(end + thickness)}`,
    `C${middle} ${y(end + thickness)} ${middle} ${y(start + thickness)} ${left} ${y(start + thickness)}`,
    "Z",
  ].join("");
}
