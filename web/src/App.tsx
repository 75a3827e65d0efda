import { Suspense, lazy, useState } from "react";

import { ConnectPage } from "./ConnectPage.tsx";
import { LivePage } from "./live/LivePage.tsx";
import { useAddress } from "./location.ts";
import { forgetSession, loadSession, saveSession } from "./session.ts";
import { Frame } from "./ui/Frame.tsx";
import { Skeleton } from "./ui/states.tsx";

const ExplorePage = lazy(() => import("./explore/ExplorePage.tsx"));

/** Chooses the page by the address, and asks for a key where there is none. */
export function App() {
  const [session, setSession] = useState(loadSession);
  const path = useAddress().split("?")[0];
  if (session === null) {
    return (
      <ConnectPage
        onConnect={(connected) => {
          saveSession(connected);
          setSession(connected);
        }}
      />
    );
  }
  const onDisconnect = () => {
    forgetSession();
    setSession(null);
  };
  return (
    <Frame app={session.app}>
      {path === "/explore" ? (
        <Suspense fallback={<Skeleton height={420} />}>
          <ExplorePage session={session} onDisconnect={onDisconnect} />
        </Suspense>
      ) : (
        <LivePage session={session} onDisconnect={onDisconnect} />
      )}
    </Frame>
  );
}
