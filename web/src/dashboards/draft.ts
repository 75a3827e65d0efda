import { useState } from "react";

import type { Annotation, Board, BoardContent, Tile } from "./board.ts";
import { type History, begin, redo, step, undo } from "./history.ts";

/** A tile that is on show or being arranged. */
export interface ShownTile extends Tile {
  /** Its own, whatever becomes of the others. */
  key: string;
  /** Its place on the saved dashboard, where its answer is; null for a new one. */
  from: number | null;
}

/** A dashboard while it is changed. */
export interface Draft {
  name: string;
  description: string;
  tiles: ShownTile[];
  annotations: Annotation[];
}

/** A draft and the version it was begun from. */
interface Stored {
  version: number;
  history: History<Draft>;
}

export function draftOf(board: Board): Draft {
  return { name: board.name, description: board.description ?? "", annotations: board.annotations ?? [], tiles: shownTiles(board.tiles) };
}

export function shownTiles(tiles: readonly Tile[]): ShownTile[] {
  return tiles.map((tile, from) => ({ ...tile, from, key: `saved ${from}` }));
}

function bareTile(tile: ShownTile): Tile {
  const { title, text, call, request, view, link, x, y, w, h } = tile;
  const fields = Object.entries({ title, text, call, request, view, link }).filter(([name, value]) => value !== undefined && !(name === "title" && value === ""));
  return { ...(Object.fromEntries(fields) as Partial<Tile>), x, y, w, h };
}

/** What is saved of a draft. */
export function savedContent({ name, description, tiles, annotations }: Draft, range: string | null, filters: unknown): BoardContent {
  const bare = tiles.map((tile) => bareTile(tile));
  return { name: name.trim(), description, tiles: bare, annotations, ...(range !== null && { range }), ...(filters !== undefined && { filters }) };
}

const storageKey = (app: string, id: string) => `throng.draft.${app}.${id}`;

function load(app: string, id: string): Stored | null {
  try {
    return JSON.parse(sessionStorage.getItem(storageKey(app, id)) ?? "null") as Stored | null;
  } catch {
    return null;
  }
}

function keep(app: string, id: string, stored: Stored | null): void {
  try {
    if (stored === null) sessionStorage.removeItem(storageKey(app, id));
    else sessionStorage.setItem(storageKey(app, id), JSON.stringify({ ...stored, history: begin(stored.history.now) }));
  } catch {
    // Full, or nothing is kept: the draft lives as long as the page.
  }
}

export interface Drafting {
  draft: Draft;
  version: number;
  changed: boolean;
  canUndo: boolean;
  canRedo: boolean;
  change: (changed: Partial<Draft>) => void;
  undo: () => void;
  redo: () => void;
  discard: () => void;
}

/** Changes of a dashboard that are not saved yet; a reload of the tab keeps them. */
export function useDraft(app: string, id: string, board: Board): Drafting {
  const [stored, setStored] = useState(() => load(app, id));
  const version = stored?.version ?? board.version;
  const history = stored?.history ?? begin(draftOf(board));
  const set = (next: Stored | null) => {
    setStored(next);
    keep(app, id, next);
  };
  const move = (next: History<Draft>) => {
    set({ version, history: next });
  };
  return {
    draft: history.now,
    version,
    changed: stored !== null,
    canUndo: history.past.length > 0,
    canRedo: history.future.length > 0,
    change: (changed) => {
      move(step(history, { ...history.now, ...changed }));
    },
    undo: () => {
      move(undo(history));
    },
    redo: () => {
      move(redo(history));
    },
    discard: () => {
      set(null);
    },
  };
}
