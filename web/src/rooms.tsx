import { type ComponentType, type ReactNode, lazy } from "react";

import { LivePage } from "./live/LivePage.tsx";
import type { PageProps } from "./session.ts";
import { CohortsIcon, DashboardsIcon, DataIcon, ExploreIcon, FunnelsIcon, LifecycleIcon, LiveIcon, PathsIcon, PeopleIcon, RetentionIcon, SessionsIcon, SettingsIcon, SqlIcon } from "./ui/icons.tsx";

export interface Room {
  path: string;
  name: string;
  icon: ReactNode;
  page: ComponentType<PageProps>;
}

/** Every page, in the order of the bar. All but the first load when they are opened. */
export const ROOMS: readonly Room[] = [
  { path: "/", name: "Live", icon: <LiveIcon />, page: LivePage },
  { path: "/dashboards", name: "Dashboards", icon: <DashboardsIcon />, page: lazy(() => import("./dashboards/DashboardsPage.tsx")) },
  { path: "/explore", name: "Explore", icon: <ExploreIcon />, page: lazy(() => import("./explore/ExplorePage.tsx")) },
  { path: "/funnels", name: "Funnels", icon: <FunnelsIcon />, page: lazy(() => import("./funnels/FunnelsPage.tsx")) },
  { path: "/retention", name: "Retention", icon: <RetentionIcon />, page: lazy(() => import("./retention/RetentionPage.tsx")) },
  { path: "/paths", name: "Paths", icon: <PathsIcon />, page: lazy(() => import("./paths/PathsPage.tsx")) },
  { path: "/sessions", name: "Sessions", icon: <SessionsIcon />, page: lazy(() => import("./sessions/SessionsPage.tsx")) },
  { path: "/lifecycle", name: "Lifecycle", icon: <LifecycleIcon />, page: lazy(() => import("./lifecycle/LifecyclePage.tsx")) },
  { path: "/cohorts", name: "Cohorts", icon: <CohortsIcon />, page: lazy(() => import("./cohorts/CohortsPage.tsx")) },
  { path: "/people", name: "People", icon: <PeopleIcon />, page: lazy(() => import("./people/PeoplePage.tsx")) },
  { path: "/sql", name: "SQL", icon: <SqlIcon />, page: lazy(() => import("./sql/SqlPage.tsx")) },
  { path: "/data", name: "Data", icon: <DataIcon />, page: lazy(() => import("./data/DataPage.tsx")) },
  { path: "/settings", name: "Settings", icon: <SettingsIcon />, page: lazy(() => import("./settings/SettingsPage.tsx")) },
];

export function roomAt(path: string): Room | undefined {
  return ROOMS.find((room) => room.path === path);
}
