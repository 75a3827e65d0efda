import type { ReactNode } from "react";

/** Line icons on a grid of 20, drawn for this app. */
function Icon({ children, size = 20 }: { children: ReactNode; size?: number }) {
  return (
    <svg viewBox="0 0 20 20" width={size} height={size} fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {children}
    </svg>
  );
}

export const LiveIcon = () => (
  <Icon>
    <path d="M2.5 10.5h3l2.5-7 4 13 2.5-6h3" />
  </Icon>
);

export const ExploreIcon = () => (
  <Icon>
    <path d="M3 3v13a1 1 0 0 0 1 1h13" />
    <path d="m6.5 12.5 3-4 3 2.5 4-6" />
  </Icon>
);

export const FunnelsIcon = () => (
  <Icon>
    <path d="M3 4v13M8 7.5V17M13 11v6M18 14v3" />
  </Icon>
);

export const RetentionIcon = () => (
  <Icon>
    <path d="M3.5 3.5h13v4h-4.3v4.4H7.8v4.6H3.5zM3.5 7.5h8.7M3.5 11.9h4.3M7.8 3.5v8.4M12.2 3.5v4" />
  </Icon>
);

export const PathsIcon = () => (
  <Icon>
    <path d="M2.5 5h4c4 0 3 5 7 5h4M2.5 15h4c4 0 3-5 7-5M15 7.5l2.5 2.5-2.5 2.5" />
  </Icon>
);

export const SessionsIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="7" />
    <path d="M10 6v4l2.8 1.8" />
  </Icon>
);

export const LifecycleIcon = () => (
  <Icon>
    <path d="M4 9.5a6 6 0 0 1 10.6-3.3l1.9 2M16.5 4.4v3.8h-3.8M16 10.5a6 6 0 0 1-10.6 3.3l-1.9-2M3.5 15.6v-3.8h3.8" />
  </Icon>
);

/** One person, beside the several of cohorts. */
export const PeopleIcon = () => (
  <Icon>
    <circle cx="10" cy="6.5" r="3.300" />
    <path d="M3.500 17c.5-3.500 3-5.300 6.500-5.300s6 1.800 6.500 5.300" />
  </Icon>
);

export const CohortsIcon = () => (
  <Icon>
    <circle cx="7.5" cy="7" r="3" />
    <path d="M2 16.5c.4-3.2 2.5-5 5.5-5s5.1 1.8 5.5 5M13 4.3a3 3 0 0 1 0 5.4M15 12c1.7.7 2.7 2.200 3 4.5" />
  </Icon>
);

export const SqlIcon = () => (
  <Icon>
    <ellipse cx="10" cy="5" rx="6.5" ry="2.5" />
    <path d="M3.5 5v10c0 1.4 2.900 2.5 6.5 2.5s6.5-1.1 6.5-2.5V5M3.5 10c0 1.4 2.900 2.5 6.5 2.5s6.5-1.1 6.5-2.5" />
  </Icon>
);

export const SettingsIcon = () => (
  <Icon>
    <path d="M3 6h7M14 6h3M3 14h3M10 14h7" />
    <circle cx="12" cy="6" r="2" />
    <circle cx="8" cy="14" r="2" />
  </Icon>
);

export const MoreIcon = () => (
  <Icon>
    <path d="M4.5 10h.01M10 10h.01M15.5 10h.01" strokeWidth="2.6" />
  </Icon>
);

export const UpIcon = () => (
  <Icon size={14}>
    <path d="M10 16V4M5 9l5-5 5 5" />
  </Icon>
);

export const DownIcon = () => (
  <Icon size={14}>
    <path d="M10 4v12M5 11l5 5 5-5" />
  </Icon>
);

export const MoonIcon = () => (
  <Icon size={18}>
    <path d="M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7z" />
  </Icon>
);

export const SunIcon = () => (
  <Icon size={18}>
    <circle cx="10" cy="10" r="3.4" />
    <path d="M10 1.8v1.6M10 16.6v1.6M1.8 10h1.6M16.6 10h1.6M4.2 4.2l1.1 1.1M14.7 14.7l1.1 1.1M4.2 15.8l1.1-1.1M14.7 5.3l1.1-1.1" />
  </Icon>
);

export const ChevronIcon = () => (
  <Icon size={14}>
    <path d="m5 7.5 5 5 5-5" />
  </Icon>
);

export const CrossIcon = () => (
  <Icon size={14}>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
);

export const PlusIcon = () => (
  <Icon size={14}>
    <path d="M10 4v12M4 10h12" />
  </Icon>
);

export const CheckIcon = () => (
  <Icon size={14}>
    <path d="m4 10.5 4 4 8-9" />
  </Icon>
);

export const ArrowIcon = () => (
  <Icon size={14}>
    <path d="M3 10h13M11.5 5.5 16 10l-4.5 4.5" />
  </Icon>
);

/** Something arrives in a tray. */
export const DataIcon = () => (
  <Icon>
    <path d="M10 2.500v8M6.500 7.500l3.500 3.500 3.500-3.500M3.500 11.500v5h13v-5" />
  </Icon>
);

export const DashboardsIcon = () => (
  <Icon>
    <path d="M3.500 3.500h6v8h-6zM12.500 3.500h4v4h-4zM12.500 10.500h4v6h-4zM3.500 14.500h6v2h-6z" />
  </Icon>
);

/** Six dots: what can be dragged. */
export const GripIcon = () => (
  <Icon size={16}>
    <path d="M7 4.500h.01M13 4.500h.01M7 10h.01M13 10h.01M7 15.500h.01M13 15.500h.01" strokeWidth="2.600" />
  </Icon>
);

export const CornerIcon = () => (
  <Icon size={14}>
    <path d="M17 8v9H8M17 12.500v4.500h-4.500" />
  </Icon>
);

export const DotsIcon = () => (
  <Icon size={16}>
    <path d="M4 10h.01M10 10h.01M16 10h.01" strokeWidth="2.800" />
  </Icon>
);
