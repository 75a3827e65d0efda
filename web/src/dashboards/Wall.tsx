import { Button } from "@mantine/core";
import { type CSSProperties, type ReactNode, useEffect } from "react";

import { rangeInWords } from "../builder/range.ts";
import { LiveDot } from "../live/LiveDot.tsx";
import { goTo } from "../location.ts";
import type { Board, Place } from "./board.ts";
import type { BoardState } from "./boardFeed.ts";
import { type View, writeView } from "./view.ts";

interface WallProps {
  board: Board;
  tiles: readonly Place[];
  state: BoardState;
  range: string;
  view: View;
  children: ReactNode;
}

function leave(view: View): void {
  if (document.fullscreenElement !== null) void document.exitFullscreen();
  goTo(writeView({ ...view, wall: false }), true);
}

/** A dashboard and nothing else, its rows as high as the screen allows. */
export function Wall({ board, tiles, state, range, view, children }: WallProps) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") leave(view);
    };
    // Browsers take Escape for themselves while the page fills the screen.
    const onScreen = () => {
      if (document.fullscreenElement === null) leave(view);
    };
    window.addEventListener("keydown", onKey);
    document.addEventListener("fullscreenchange", onScreen);
    document.title = `${board.name} · Throng`;
    return () => {
      window.removeEventListener("keydown", onKey);
      document.removeEventListener("fullscreenchange", onScreen);
    };
  }, [view, board.name]);
  const rows = Math.max(1, ...tiles.map(({ y, h }) => y + h));
  return (
    <main className="wall" style={{ "--rows": rows } as CSSProperties}>
      <header className="wall-head">
        <h1>{board.name}</h1>
        {range !== "" && <span className="quiet">{rangeInWords(range)}</span>}
        <span className="wall-end">
          <Button
            className="wall-leave"
            variant="default"
            size="xs"
            onClick={() => {
              leave(view);
            }}
          >
            Leave
          </Button>
          <LiveDot phase={state.phase} heardAt={state.heardAt} />
        </span>
      </header>
      {children}
    </main>
  );
}
