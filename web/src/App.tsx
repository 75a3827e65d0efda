import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useCallback, useState } from "react";

import { ConnectPage } from "./ConnectPage.tsx";
import { forgetAdminKeys } from "./adminKey.ts";
import { isWall } from "./dashboards/view.ts";
import { usePath, useSearch } from "./location.ts";
import { roomAt } from "./rooms.tsx";
import { forgetStatements } from "./sql/history.ts";
import { type Session, forgetSession, loadSession, saveSession } from "./session.ts";
import { Bone } from "./ui/Bone.tsx";
import { Frame } from "./ui/Frame.tsx";
import { Link } from "./ui/Link.tsx";
import { Message } from "./ui/Message.tsx";
import { Page } from "./ui/Page.tsx";

function OnItsWay({ name }: { name: string }) {
  return (
    <Page title={name}>
      <Bone height={64} />
      <Bone height={420} />
    </Page>
  );
}

function NoSuchPage({ path }: { path: string }) {
  return (
    <Page title="No such page">
      <Message title="There is nothing here">
        <p className="quiet">
          <code>{path}</code> is no page of this app. The link may be of another version, or cut short.
        </p>
        <Link href="/" className="link">
          Go to Live
        </Link>
      </Message>
    </Page>
  );
}

/** Chooses the page by the address, and asks for a key where there is none. */
export function App() {
  const [session, setSession] = useState(loadSession);
  const path = usePath();
  const search = useSearch();
  const connect = useCallback((connected: Session) => {
    saveSession(connected);
    setSession(connected);
  }, []);
  const queries = useQueryClient();
  const app = session?.app;
  const disconnect = useCallback(() => {
    forgetSession();
    // Nothing that one key was told is shown to the next.
    queries.clear();
    forgetAdminKeys();
    if (app !== undefined) forgetStatements(app);
    setSession(null);
  }, [queries, app]);
  if (session === null) return <ConnectPage onConnect={connect} />;
  const room = roomAt(path);
  const page =
    room === undefined ? (
      <NoSuchPage path={path} />
    ) : (
      <Suspense key={room.path} fallback={<OnItsWay name={room.name} />}>
        <room.page session={session} onDisconnect={disconnect} />
      </Suspense>
    );
  if (isWall(path, search)) return page;
  return (
    <Frame app={session.app} path={path} onDisconnect={disconnect}>
      {page}
    </Frame>
  );
}
