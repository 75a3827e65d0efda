import { Menu } from "@mantine/core";
import type { ReactNode } from "react";

import type { Entry } from "../accounts/useEntry.ts";
import { goTo } from "../location.ts";
import { ROOMS } from "../rooms.tsx";
import type { Session } from "../session.ts";
import { Link } from "./Link.tsx";
import { ChevronIcon, MoreIcon } from "./icons.tsx";

/** Rooms with a place of their own in the bottom bar of a phone; the others are behind "More". */
const PHONE_ROOMS = 4;

interface FrameProps {
  session: Session;
  path: string;
  entry: Entry;
  children: ReactNode;
}

/** Which app this is, and the way to another. */
function AppItems({ session, entry }: { session: Session; entry: Entry }) {
  const { who } = entry;
  if (who.kind !== "login") {
    return (
      <>
        <div className="app-menu-id">
          <span className="quiet small">App</span>
          <code>{session.app}</code>
        </div>
        <Menu.Divider />
        <Menu.Item onClick={entry.leave}>Open another app</Menu.Item>
      </>
    );
  }
  return (
    <>
      <Menu.Label>Apps</Menu.Label>
      <div className="app-menu-apps">
        {who.me.apps.map(({ app_id, name, role }) => (
          <Menu.Item
            key={app_id}
            aria-current={app_id === session.app ? "true" : undefined}
            rightSection={<span className="quiet small">{role}</span>}
            onClick={() => {
              entry.open(app_id);
            }}
          >
            {name}
          </Menu.Item>
        ))}
      </div>
      <Menu.Divider />
      {who.me.account.administrator && (
        <Menu.Item
          onClick={() => {
            goTo("/settings?side=new");
          }}
        >
          Make an app
        </Menu.Item>
      )}
      <Menu.Item
        onClick={() => {
          goTo("/settings?side=you");
        }}
      >
        {who.me.account.name}
      </Menu.Item>
      <Menu.Item onClick={entry.leave}>Log out</Menu.Item>
    </>
  );
}

function AppSwitch({ session, entry }: { session: Session; entry: Entry }) {
  const name = entry.who.kind === "login" ? entry.who.me.apps.find(({ app_id }) => app_id === session.app)?.name : undefined;
  return (
    <Menu position="bottom-start" width={240} withinPortal>
      <Menu.Target>
        <button type="button" className="app-switch" aria-label={`Throng: app ${name ?? session.app}`} title={name}>
          <img src="/icon.svg" alt="" />
          <span className="cut">{name ?? "Throng"}</span>
          <span className="chevron">
            <ChevronIcon />
          </span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <AppItems session={session} entry={entry} />
      </Menu.Dropdown>
    </Menu>
  );
}

/** On a phone: the rooms that have no place in the bar, and the app. */
function MoreRooms({ session, path, entry }: Omit<FrameProps, "children">) {
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
        <AppItems session={session} entry={entry} />
      </Menu.Dropdown>
    </Menu>
  );
}

/** The bar beside every page. */
export function Frame({ session, path, entry, children }: FrameProps) {
  return (
    <div className="frame">
      <div className="rail">
        <AppSwitch session={session} entry={entry} />
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
        <MoreRooms session={session} path={path} entry={entry} />
      </div>
      {children}
    </div>
  );
}
