import { Suspense } from "react";

import { EntrancePage } from "./accounts/EntrancePage.tsx";
import { InvitationPage } from "./accounts/InvitationPage.tsx";
import { NoAppPage } from "./accounts/NoAppPage.tsx";
import { SetUpPage } from "./accounts/SetUpPage.tsx";
import { EntryContext } from "./accounts/entry.ts";
import { type Entry, useEntry } from "./accounts/useEntry.ts";
import { isWall } from "./dashboards/view.ts";
import { usePath, useSearch } from "./location.ts";
import { roomAt } from "./rooms.tsx";
import type { Session } from "./session.ts";
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

/** The page of the address, in the frame of the session's app; a dashboard on a wall has none. */
function Room({ session, path, entry }: { session: Session; path: string; entry: Entry }) {
  const search = useSearch();
  const room = roomAt(path);
  const page =
    room === undefined ? (
      <NoSuchPage path={path} />
    ) : (
      <Suspense key={`${session.app} ${room.path}`} fallback={<OnItsWay name={room.name} />}>
        <room.page session={session} onDisconnect={session.key === null ? entry.askAgain : entry.leave} />
      </Suspense>
    );
  if (isWall(path, search)) return page;
  return (
    <Frame session={session} path={path} entry={entry}>
      {page}
    </Frame>
  );
}

/** Chooses the page by the address, and asks for a login or a key where there is neither. */
export function App() {
  const path = usePath();
  const entry = useEntry();
  const { who } = entry;
  if (path === "/setup") return <SetUpPage onMe={entry.enter} />;
  if (path === "/invitation") return <InvitationPage entry={entry} />;
  if (who.kind === "asking") return null;
  if (who.kind === "nobody") return <EntrancePage entry={entry} setUp={who.setUp} wanted={who.wanted} />;
  const session = entry.session;
  if (session === null) return <NoAppPage entry={entry} />;
  return (
    <EntryContext value={entry}>
      <Room session={session} path={path} entry={entry} />
    </EntryContext>
  );
}
