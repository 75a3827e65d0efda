import { ActionIcon, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import type { MouseEvent, ReactNode } from "react";

import { goTo, useAddress } from "../location.ts";
import { ExploreIcon, LiveIcon, MoonIcon, SunIcon } from "./icons.tsx";

const ROOMS = [
  { path: "/", name: "Live", icon: <LiveIcon /> },
  { path: "/explore", name: "Explore", icon: <ExploreIcon /> },
];

function Room({ path, name, icon, current }: { path: string; name: string; icon: ReactNode; current: boolean }) {
  const onClick = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    goTo(path);
  };
  return (
    <a href={path} onClick={onClick} aria-current={current ? "page" : undefined}>
      {icon}
      <span>{name}</span>
    </a>
  );
}

function ColorSchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const next = scheme === "light" ? "dark" : "light";
  return (
    <Tooltip label={`Use ${next} colours`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`Use ${next} colours`}
        onClick={() => {
          setColorScheme(next);
        }}
      >
        {scheme === "light" ? <MoonIcon /> : <SunIcon />}
      </ActionIcon>
    </Tooltip>
  );
}

/** The bar beside every page. */
export function Frame({ app, children }: { app: string; children: ReactNode }) {
  const path = useAddress().split("?")[0] ?? "/";
  return (
    <div className="frame">
      <nav className="bar" aria-label="Pages">
        <div className="brand">
          <img src="/icon.svg" alt="" />
          <span>Throng</span>
        </div>
        {ROOMS.map((room) => (
          <Room key={room.path} {...room} current={room.path === path} />
        ))}
        <div className="bar-end">
          <code className="wide-only" title={app}>
            {app}
          </code>
          <ColorSchemeButton />
        </div>
      </nav>
      <main className="page">{children}</main>
    </div>
  );
}
