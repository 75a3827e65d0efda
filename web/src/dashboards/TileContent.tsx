import type { ComponentType } from "react";

import { ActiveUsersTile, FunnelTile, LifecycleTile, PathsTile, RetentionTile, SessionsTile, SqlTile, StickinessTile } from "./AnalysisTiles.tsx";
import { QueryTile } from "./QueryTile.tsx";
import type { DrawnProps } from "./drawn.ts";

/** How the answer of each call is drawn. */
const DRAWINGS = {
  query: QueryTile,
  funnel: FunnelTile,
  retention: RetentionTile,
  paths: PathsTile,
  sessions: SessionsTile,
  active_users: ActiveUsersTile,
  lifecycle: LifecycleTile,
  stickiness: StickinessTile,
  sql: SqlTile,
};

/** The answer of a tile, with the parts that the page of its analysis has. */
export default function TileContent(props: DrawnProps<object>) {
  const { call = "" } = props.tile;
  if (!(call in DRAWINGS)) return <p className="tile-empty quiet">This version of the app cannot draw “{call}”.</p>;
  // The server checked that the question is one of this call, and answered it.
  const Drawing = DRAWINGS[call as keyof typeof DRAWINGS] as ComponentType<DrawnProps<object>>;
  return <Drawing {...props} />;
}
