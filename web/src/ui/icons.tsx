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
