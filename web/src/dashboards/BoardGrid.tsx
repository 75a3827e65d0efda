import { type CSSProperties, type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useState } from "react";

import type { ShownTile } from "./draft.ts";
import { COLUMNS, nudged, put, readingOrder } from "./layout.ts";

/** As in the style sheet. */
const ROW_PX = 64;
const GAP_PX = 16;
/** This near to an edge of the screen, the page goes on under what is dragged. */
const EDGE_PX = 48;
const EDGE_STEP_PX = 16;

/** How a tile is taken hold of. */
export interface Handles {
  onMoveDown: (event: PointerEvent) => void;
  onSizeDown: (event: PointerEvent) => void;
  onKeyDown: (event: KeyboardEvent) => void;
}

interface Drag {
  key: string;
  sizes: boolean;
  pageX: number;
  pageY: number;
  columnPx: number;
}

interface BoardGridProps {
  tiles: ShownTile[];
  /** Nothing where they are only looked at. */
  onArrange?: ((tiles: ShownTile[]) => void) | undefined;
  children: (tile: ShownTile, handles: Handles | null) => ReactNode;
}

const KEYS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const placeInWords = ({ x, y, w, h }: ShownTile) => `Column ${x + 1}, row ${y + 1}, ${w} wide, ${h} high`;

function arranged(tiles: ShownTile[], { key, sizes, pageX, pageY, columnPx }: Drag, event: { pageX: number; pageY: number }): ShownTile[] {
  const at = tiles.findIndex((tile) => tile.key === key);
  const tile = tiles[at];
  if (tile === undefined) return tiles;
  const dx = Math.round((event.pageX - pageX) / columnPx);
  const dy = Math.round((event.pageY - pageY) / (ROW_PX + GAP_PX));
  return put(tiles, at, sizes ? { ...tile, w: Math.min(COLUMNS - tile.x, tile.w + dx), h: tile.h + dy } : { ...tile, x: tile.x + dx, y: tile.y + dy });
}

/** Tiles on their places; where they may be arranged, by dragging and by keys. */
export function BoardGrid({ tiles, onArrange, children }: BoardGridProps) {
  const [drag, setDrag] = useState<Drag | null>(null);
  const [preview, setPreview] = useState<ShownTile[] | null>(null);
  const [told, setTold] = useState("");
  useEffect(() => {
    if (drag === null || onArrange === undefined) return undefined;
    let last = tiles;
    const move = (event: globalThis.PointerEvent) => {
      if (event.clientY > window.innerHeight - EDGE_PX) window.scrollBy(0, EDGE_STEP_PX);
      else if (event.clientY < EDGE_PX) window.scrollBy(0, -EDGE_STEP_PX);
      last = arranged(tiles, drag, event);
      setPreview(last);
    };
    const end = (kept: boolean) => {
      setDrag(null);
      setPreview(null);
      if (kept && JSON.stringify(last) !== JSON.stringify(tiles)) onArrange(last);
    };
    const drop = () => {
      end(true);
    };
    const leave = () => {
      end(false);
    };
    const key = (event: globalThis.KeyboardEvent) => {
      if (event.key === "Escape") end(false);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", drop);
    window.addEventListener("pointercancel", leave);
    window.addEventListener("keydown", key);
    return () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", drop);
      window.removeEventListener("pointercancel", leave);
      window.removeEventListener("keydown", key);
    };
  }, [drag, tiles, onArrange]);
  const take = (key: string, sizes: boolean) => (event: PointerEvent) => {
    const width = event.currentTarget.closest(".board-grid")?.clientWidth;
    if (event.button !== 0 || width === undefined) return;
    const columnPx = (width + GAP_PX) / COLUMNS;
    setDrag({ key, sizes, pageX: event.pageX, pageY: event.pageY, columnPx });
  };
  const press = (key: string) => (event: KeyboardEvent) => {
    const step = KEYS[event.key];
    if (step === undefined || onArrange === undefined) return;
    event.preventDefault();
    const at = tiles.findIndex((tile) => tile.key === key);
    const [across, down] = step;
    const next = nudged(tiles, at, event.shiftKey ? { ...(across !== 0 && { w: across }), ...(down !== 0 && { h: down }) } : { ...(across !== 0 && { x: across }), ...(down !== 0 && { y: down }) });
    const moved = next[at];
    if (moved !== undefined) setTold(placeInWords(moved));
    if (JSON.stringify(next) !== JSON.stringify(tiles)) onArrange(next);
  };
  const shown = preview ?? tiles;
  // A tile that is dragged keeps its place in the document: the browser would let go of it.
  const order = readingOrder(tiles);
  return (
    <div className="board-grid" data-arranging={drag !== null}>
      {order.map((at) => {
        const tile = shown[at];
        if (tile === undefined) return null;
        const style = { "--x": tile.x + 1, "--y": tile.y + 1, "--w": tile.w, "--h": tile.h } as CSSProperties;
        const handles = onArrange === undefined ? null : { onMoveDown: take(tile.key, false), onSizeDown: take(tile.key, true), onKeyDown: press(tile.key) };
        return (
          <div key={tile.key} className="board-cell" style={style} data-dragged={drag?.key === tile.key}>
            {children(tile, handles)}
          </div>
        );
      })}
      <p className="unseen" role="status">
        {told}
      </p>
    </div>
  );
}
