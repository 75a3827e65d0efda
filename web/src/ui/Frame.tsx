import { Menu } from "@mantine/core";
import type { ReactNode } from "react";

import { goTo } from "../location.ts";
import { ROOMS } from "../rooms.tsx";
import { Link } from "./Link.tsx";
import { ChevronIcon, MoreIcon } from "./icons.tsx";

/** Rooms with a place of their own in the bottom bar of a phone; the others are behind "More". */
const PHONE_ROOMS = 4;

interface FrameProps {
  app: string;
  path: string;
  onDisconnect: () => void;
  children: ReactNode;
}

/** Which app this is, and the way to another. */
function AppItems({ app, onDisconnect }: { app: string; onDisconnect: () => void }) {
  return (
    <>
      <div className="app-menu-id">
        <span className="quiet small">App</span>
        <code>{app}</code>
      </div>
      <Menu.Divider />
      <Menu.Item onClick={onDisconnect}>Open another app</Menu.Item>
    </>
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
        <AppItems app={app} onDisconnect={onDisconnect} />
      </Menu.Dropdown>
    </Menu>
  );
}

/** On a phone: the rooms that have no place in the bar, and the app. */
function MoreRooms({ app, path, onDisconnect }: Omit<FrameProps, "children">) {
  const rest = ROOMS.slice(PHONE_ROOMS);
  const here = rest.find((room) => room.path === path);
  return (
    <Menu position="top-end" width={240} withinPortal>
      <Menu.Target>
        <button type="button" className="rail-more" data-here={here !== undefined} aria-label={here === undefined ? "More" : `More: ${here.name}`}>
          {here?.icon ?? <MoreIcon />}
          <span>{here?.name ?? "More"}</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {rest.map((room) => (
          <Menu.Item
            key={room.path}
            leftSection={room.icon}
            aria-current={room.path === path ? "page" : undefined}
            onClick={() => {
              goTo(room.path);
            }}
          >
            {room.name}
          </Menu.Item>
        ))}
        {rest.length > 0 && <Menu.Divider />}
        <AppItems app={app} onDisconnect={onDisconnect} />
      </Menu.Dropdown>
    </Menu>
  );
}

/** The bar beside every page. */
export function Frame({ app, path, onDisconnect, children }: FrameProps) {
  return (
    <div className="frame">
      <div className="rail">
        <AppSwitch app={app} onDisconnect={onDisconnect} />
        <nav aria-label="Pages">
          <ul>
            {ROOMS.map((room, at) => (
              <li key={room.path} className={at < PHONE_ROOMS ? undefined : "rail-rest"}>
                <Link href={room.path} title={room.name} aria-current={room.path === path ? "page" : undefined}>
                  {room.icon}
                  <span>{room.name}</span>
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <MoreRooms app={app} path={path} onDisconnect={onDisconnect} />
      </div>
      {children}
    </div>
  );
}
