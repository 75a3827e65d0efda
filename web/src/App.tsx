import { Suspense, lazy, useCallback, useState } from "react";

import { ConnectPage } from "./ConnectPage.tsx";
import { LivePage } from "./live/LivePage.tsx";
import { useAddress } from "./location.ts";
import { type Session, forgetSession, loadSession, saveSession } from "./session.ts";
import { Bone } from "./ui/Bone.tsx";
import { Frame } from "./ui/Frame.tsx";
import { Page } from "./ui/Page.tsx";

const ExplorePage = lazy(() => import("./explore/ExplorePage.tsx"));

function ExploreOnItsWay() {
  return (
    <Page title="Explore">
      <Bone height={64} />
      <Bone height={420} />
    </Page>
  );
}

/** Chooses the page by the address, and asks for a key where there is none. */
export function App() {
  const [session, setSession] = useState(loadSession);
  const path = useAddress().split("?")[0];
  const connect = useCallback((connected: Session) => {
    saveSession(connected);
    setSession(connected);
  }, []);
  const disconnect = useCallback(() => {
    forgetSession();
    setSession(null);
  }, []);
  if (session === null) return <ConnectPage onConnect={connect} />;
  return (
    <Frame app={session.app} onDisconnect={disconnect}>
      {path === "/explore" ? (
        <Suspense fallback={<ExploreOnItsWay />}>
          <ExplorePage session={session} onDisconnect={disconnect} />
        </Suspense>
      ) : (
        <LivePage session={session} onDisconnect={disconnect} />
      )}
    </Frame>
  );
}
