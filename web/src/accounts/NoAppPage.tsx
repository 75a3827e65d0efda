import { NewApp } from "../settings/NewApp.tsx";
import { Message } from "../ui/Message.tsx";
import type { Entry } from "./useEntry.ts";

/** For somebody who has no role on any app. */
export function NoAppPage({ entry }: { entry: Entry }) {
  const administrator = entry.who.kind === "login" && entry.who.me.account.administrator;
  return (
    <main className="alone">
      {administrator ? (
        <>
          <h1 className="alone-title">Make your first app</h1>
          <NewApp entry={entry} />
        </>
      ) : (
        <Message title="No app yet">
          <p className="quiet">You have no role on any app. Ask an owner of one for an invitation.</p>
        </Message>
      )}
      <button type="button" className="link small" onClick={entry.leave}>
        Log out
      </button>
    </main>
  );
}
