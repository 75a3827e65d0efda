import { useMemo } from "react";

import { useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { BoardList } from "./BoardList.tsx";
import { BoardPage } from "./BoardPage.tsx";
import { readView } from "./view.ts";

/** All dashboards, or the one that the address names. */
export default function DashboardsPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const view = useMemo(() => readView(search), [search]);
  if (view.id === null) return <BoardList session={session} onDisconnect={onDisconnect} />;
  return <BoardPage key={view.id} session={session} onDisconnect={onDisconnect} id={view.id} view={view} />;
}
