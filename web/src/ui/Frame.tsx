import { Menu } from "@mantine/core";
import type { MouseEvent, ReactNode } from "react";

import { goTo, useAddress } from "../location.ts";
import { ChevronIcon, ExploreIcon, LiveIcon } from "./icons.tsx";

const ROOMS = [
  { path: "/", name: "Live", icon: <LiveIcon /> },
  { path: "/explore", name: "Explore", icon: <ExploreIcon /> },
];

function Room({ path, name, icon, current }: { path: string; name: string; icon: ReactNode; current: boolean }) {
  const onClick = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (!current) goTo(path);
  };
  return (
    <li>
      <a href={path} title={name} onClick={onClick} aria-current={current ? "page" : undefined}>
        {icon}
        <span>{name}</span>
      </a>
    </li>
  );
}

function AppSwitch({ app, onDisconnect }: { app: string; onDisconnect: () => void }) {
  return (
    <Menu position="bottom-start" width={240} withinPortal>
      <Menu.Target>
        <button type="button" className="app-switch" aria-label={`Throng: app ${app}`}>
          <img src="/icon.svg" alt="" />
          <span className="cut">Throng</span>
          <span className="chevron">
            <ChevronIcon />
          </span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <div className="app-menu-id">
          <span className="quiet small">App</span>
          <code>{app}</code>
        </div>
        <Menu.Divider />
        <Menu.Item onClick={onDisconnect}>Open another app</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** The bar beside every page. */
export function Frame({ app, onDisconnect, children }: { app: string; onDisconnect: () => void; children: ReactNode }) {
  const path = useAddress().split("?")[0] ?? "/";
  return (
    <div className="frame">
      <div className="rail">
        <AppSwitch app={app} onDisconnect={onDisconnect} />
        <nav aria-label="Pages">
          <ul>
            {ROOMS.map((room) => (
              <Room key={room.path} {...room} current={room.path === path || (room.path === "/" && path !== "/explore")} />
            ))}
          </ul>
        </nav>
      </div>
      {children}
    </div>
  );
}
