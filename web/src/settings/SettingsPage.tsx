import { useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { useWho } from "../accounts/entry.ts";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { Tabs } from "../ui/Tabs.tsx";
import { AppSettings } from "./AppSettings.tsx";
import { Keys } from "./Keys.tsx";
import { Members } from "./Members.tsx";
import { NewApp } from "./NewApp.tsx";
import { You } from "./You.tsx";

const APP = { name: "App", href: "/settings" };
const OF_OWNERS = [
  { name: "Keys", href: "/settings?side=keys" },
  { name: "Members", href: "/settings?side=members" },
];
const YOU = { name: "You", href: "/settings?side=you" };
const NEW = { name: "New app", href: "/settings?side=new" };

/** The app, its keys and members, and who is logged in. */
export default function SettingsPage({ session, onDisconnect }: PageProps) {
  const side = new URLSearchParams(useSearch()).get("side");
  const entry = useWho();
  if (entry.who.kind !== "login") {
    return (
      <Page title="Settings">
        <AppSettings session={session} onDisconnect={onDisconnect} />
        <Message title="You opened this app with a key">
          <p className="quiet">Settings, keys and members are changed by somebody who is logged in as an owner.</p>
          <button type="button" className="link" onClick={onDisconnect}>
            Log in
          </button>
        </Message>
      </Page>
    );
  }
  const owner = session.role === "owner";
  const administrator = entry.who.me.account.administrator;
  const tabs = [APP, ...(owner ? OF_OWNERS : []), YOU, ...(administrator ? [NEW] : [])];
  const current = tabs.find(({ href }) => href.endsWith(`?side=${side ?? ""}`)) ?? APP;
  return (
    <Page title="Settings">
      <Tabs label="Settings" tabs={tabs} current={current.name} />
      {current.name === "App" && <AppSettings session={session} onDisconnect={onDisconnect} />}
      {current.name === "Keys" && <Keys session={session} onDisconnect={onDisconnect} />}
      {current.name === "Members" && <Members session={session} entry={entry} onDisconnect={onDisconnect} />}
      {current.name === "You" && <You entry={entry} onDisconnect={onDisconnect} />}
      {current.name === "New app" && <NewApp entry={entry} />}
    </Page>
  );
}
